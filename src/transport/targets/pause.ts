import { type Clock, Scope } from '../../flow/index.js';

/** Waits between two attempts of a transfer. @throws OrbweaverError `ABORTED` as soon as it is cancelled */
export async function pauseFor(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  const scope = new Scope({ clock, signal, what: 'the transfer' });
  try {
    await scope.sleep(ms);
  } finally {
    scope.close();
  }
}
