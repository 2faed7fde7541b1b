// A model of a link, for benchmarks: a TCP proxy with a round trip and a bandwidth.
import net from 'node:net';

/** Most bytes of one connection that are on their way. */
const WINDOW_BYTES = 4 << 20;

/** Things to do at times that rise, in order, late rather than early. */
function timeline() {
  const events = [];
  let waiting = false;
  const run = () => {
    waiting = false;
    while (events.length > 0 && events[0].at <= performance.now()) events.shift().act();
    if (events.length === 0) return;
    waiting = true;
    setTimeout(run, Math.max(0, events[0].at - performance.now()));
  };
  return (at, act) => {
    events.push({ at, act });
    if (!waiting) run();
  };
}

/**
 * Half the round trip each way and one more to connect; one bandwidth, towards the reader, for all
 * connections together.
 */
export async function openLink(target, rttMs, bytesPerSecond) {
  let freeAt = 0;
  const sockets = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(Number(target.port), target.hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
    }
    const born = performance.now();
    const [toFar, toNear, acknowledged] = [timeline(), timeline(), timeline()];
    near.on('data', (bytes) => {
      toFar(Math.max(performance.now(), born + rttMs) + rttMs / 2, () => far.write(bytes));
    });
    let onItsWay = 0;
    far.on('data', (bytes) => {
      freeAt = Math.max(freeAt, performance.now()) + (bytes.length / bytesPerSecond) * 1000;
      onItsWay += bytes.length;
      if (onItsWay >= WINDOW_BYTES) far.pause();
      toNear(freeAt + rttMs / 2, () => near.write(bytes));
      acknowledged(freeAt + rttMs, () => {
        onItsWay -= bytes.length;
        if (onItsWay < WINDOW_BYTES) far.resume();
      });
    });
    near.on('close', () => far.destroy());
    far.on('close', () => toNear(freeAt + rttMs, () => near.end()));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port: server.address().port, close };
}
