// Chromium by its own protocol. A driver for tests listens to the network, for which Chromium turns every body of
// a request into text and sends it along: an upload of some hundred MiB takes minutes then, and memory in
// multiples of it. Here nothing of the network is listened to.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'undici';

/** A page of a Chromium of its own. */
export async function openChromium(executable, url) {
  const profile = mkdtempSync(join(tmpdir(), 'orbweaver-chromium-'));
  const flags = ['--headless=new', '--remote-debugging-port=0', `--user-data-dir=${profile}`];
  if (process.getuid?.() === 0) flags.push('--no-sandbox');
  const child = spawn(executable, [...flags, '--no-first-run', 'about:blank'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = new Promise((done) => child.once('exit', done));
  const address = await new Promise((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (bytes) => {
      said += bytes;
      const found = /DevTools listening on (ws:\S+)/.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', () => reject(new Error(`Chromium ended: ${said}`)));
  });
  const socket = new WebSocket(address);
  await new Promise((done) => socket.addEventListener('open', done));
  const waiting = new Map();
  let lastId = 0;
  socket.addEventListener('message', ({ data }) => {
    const { id, result, error } = JSON.parse(data);
    const turn = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) turn?.resolve(result);
    else turn?.reject(new Error(error.message));
  });
  const send = (method, params = {}, sessionId = undefined) =>
    new Promise((resolve, reject) => {
      const id = ++lastId;
      waiting.set(id, { resolve, reject });
      socket.send(JSON.stringify({ id, method, params, sessionId }));
    });
  const { targetId } = await send('Target.createTarget', { url });
  const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
  const ask = (method, params) => send(method, params, sessionId);
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await ask('Runtime.evaluate', {
      ...{ expression, awaitPromise: true, returnByValue: true },
    });
    if (exceptionDetails === undefined) return result.value;
    throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  };
  /** Seconds of all processes of the browser since they began. On a busy machine it says more than the clock. */
  const cpuSeconds = async () => {
    const { processInfo } = await send('SystemInfo.getProcessInfo');
    return processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0);
  };
  return {
    ask,
    askBrowser: send,
    cpuSeconds,
    /**
     * When the browser has come to rest. For two seconds after its start it makes pages of its own, for 0.6 s
     * of processor time that nobody has asked for.
     */
    async settled() {
      for (let quiet = 0, last = await cpuSeconds(); quiet < 3; ) {
        await sleep(300);
        const now = await cpuSeconds();
        quiet = now - last < 0.03 ? quiet + 1 : 0;
        last = now;
      }
    },
    /** What a text in the language of pages comes to; promises are awaited. */
    evaluate,
    /** Runs a function of one argument in the page. */
    run: (work, argument) => evaluate(`(${work})(${JSON.stringify(argument)})`),
    /** Gives a file to an input, as a user would. */
    async pick(selector, path) {
      const { root } = await ask('DOM.getDocument');
      const { nodeId } = await ask('DOM.querySelector', { nodeId: root.nodeId, selector });
      await ask('DOM.setFileInputFiles', { nodeId, files: [path] });
    },
    async close() {
      await send('Browser.close').catch(() => {});
      await exited;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
