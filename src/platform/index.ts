import type { Clock } from '../flow/index.js';

export { copyInto } from './copy.js';
export { createFreeBytes, type FreeBytes } from './free-bytes.js';
export { nextTurn } from './next-turn.js';
export { nextPieces, reusedPieces, type StreamReader, WORD_BYTES } from './stream-pieces.js';

/** Time, chance and copies as the machine has them; everything above takes time and chance as ports. */

/** Timers take 32 bits; anything above would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The clock of the machine. */
export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  unixMs: () => Date.now(),
  setTimer(delayMs, callback, { background = false } = {}) {
    let timer: ReturnType<typeof setTimeout>;
    const start = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, LONGEST_TIMER_MS);
      timer = setTimeout(() => {
        if (leftMs > stepMs) start(leftMs - stepMs);
        else callback();
      }, stepMs);
      // In a page a timer is a number, and keeps nothing alive.
      if (background && typeof timer === 'object') timer.unref();
    };
    start(Math.max(0, delayMs));
    return () => clearTimeout(timer);
  },
};

/** `lengthBytes` random bytes, good enough for keys. */
export type RandomBytes = (lengthBytes: number) => Uint8Array;

/** Random bytes of the platform's generator for keys. */
export const systemRandomBytes: RandomBytes = (lengthBytes) =>
  globalThis.crypto.getRandomValues(new Uint8Array(lengthBytes));

/** A number in [0, 1), for jitter; not for keys. */
export type RandomSource = () => number;

/** Chance as the machine has it. */
export const systemRandom: RandomSource = () => Math.random();
