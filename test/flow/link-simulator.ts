/**
 * A link and a server as numbers, and requests over it: no sockets, no time. Bytes flow as a fluid, in
 * steps of a few milliseconds; connections share the link, each is held to its window, which doubles
 * with every round trip up to its largest, and a request costs a round trip before its first byte.
 */
export interface LinkModel {
  readonly mbitPerS: number;
  readonly roundTripMs: number;
  /** Bytes of each request. @default 16 MiB */
  readonly requestBytes?: number;
  /** Most bytes of a connection under way. @default 4 MiB */
  readonly windowBytes?: number;
  /** What becomes of more than six at a time: refused for a second, or all of them become slow. */
  readonly aboveSix?: 'refused' | 'slow';
}

/** Who says how many requests may run. */
export interface Chooser {
  readonly limit: number;
  begun(): void;
  moved(bytes: number): void;
  ended(): void;
  repeated(): void;
}

interface Connection {
  windowBytes: number;
  leftBytes: number;
  /** When the first byte of the request comes, or it may be repeated. */
  readyAt: number;
  busy: boolean;
  refused: boolean;
}

const FIRST_WINDOW_BYTES = 14_480;

/** Bytes that arrive within `durationMs`. `tick` moves the clock that the chooser looks at. */
export function simulate(
  link: LinkModel,
  chooser: Chooser,
  durationMs: number,
  tick: (nowMs: number) => void = () => {},
): number {
  const { mbitPerS, roundTripMs, aboveSix } = link;
  const { requestBytes = 16 << 20, windowBytes: largest = 4 << 20 } = link;
  const stepMs = Math.max(10, Math.min(50, roundTripMs / 2));
  const connections: Connection[] = [];
  let arrived = 0;
  for (let now = 0; now < durationMs; now += stepMs) {
    tick(now);
    let busyCount = 0;
    for (const { busy } of connections) if (busy) busyCount++;
    while (busyCount < chooser.limit) {
      let free = connections.find(({ busy }) => !busy);
      if (free === undefined) {
        free = {
          windowBytes: FIRST_WINDOW_BYTES,
          leftBytes: 0,
          readyAt: 0,
          busy: false,
          refused: false,
        };
        connections.push(free);
      }
      Object.assign(free, {
        busy: true,
        refused: false,
        leftBytes: requestBytes,
        readyAt: now + roundTripMs,
      });
      const served = connections.filter(({ busy, refused }) => busy && !refused).length - 1;
      free.refused = aboveSix === 'refused' && served >= 6;
      if (free.refused) {
        free.readyAt = now + roundTripMs + 1_000;
        chooser.repeated();
      }
      busyCount++;
      chooser.begun();
    }
    const flowing = connections.filter(({ busy, readyAt, refused }) => {
      return busy && !refused && now >= readyAt;
    });
    const slows = aboveSix === 'slow' && busyCount > 6;
    let room = ((mbitPerS * 1e6) / 8 / 1000) * stepMs * (slows ? 0.5 : 1);
    // The smallest windows first: what they do not take is for the others.
    flowing.sort((a, b) => a.windowBytes - b.windowBytes);
    for (const [i, connection] of flowing.entries()) {
      const own = (connection.windowBytes / roundTripMs) * stepMs;
      const bytes = Math.min(own, room / (flowing.length - i), connection.leftBytes);
      room -= bytes;
      connection.leftBytes -= bytes;
      connection.windowBytes = Math.min(
        largest,
        connection.windowBytes * 2 ** (stepMs / roundTripMs),
      );
      arrived += bytes;
      chooser.moved(bytes);
      if (connection.leftBytes > 0) continue;
      connection.busy = false;
      chooser.ended();
    }
    for (const connection of connections) {
      if (!connection.busy || !connection.refused || now < connection.readyAt) continue;
      // It asks again; others may have ended.
      connection.busy = false;
      connection.refused = false;
      chooser.ended();
    }
  }
  return arrived;
}

/** Always the same number. */
export function fixed(limit: number): Chooser {
  const nothing = (): void => {};
  return { limit, begun: nothing, moved: nothing, ended: nothing, repeated: nothing };
}
