import { lookup } from 'node:dns';
import type { NameLookup, RandomSource, TransportClock } from './ports.js';

/** The ports of {@link import('./ports.js')} on the real machine. */

/**
 * The wall clock. Its timers do keep the process alive: a call that waits for its next attempt has
 * no socket open, and must not be lost because nothing else is going on.
 */
export const SYSTEM_CLOCK: TransportClock = {
  now: () => Date.now(),
  setTimer: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

export const SYSTEM_RANDOM: RandomSource = () => Math.random();

/** The resolver of the operating system. */
export const SYSTEM_LOOKUP: NameLookup = lookup as NameLookup;
