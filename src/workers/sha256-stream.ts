import type { Sha256Stream, Slab } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import type { Sha256Task } from './messages.js';
import type { Sha256Answer } from './sha256-runner.js';

/** What a stream needs of its pool. */
export interface Sha256Host {
  /** Runs one step; `slab` null: the step touches none. Steps run in the order of the calls. */
  run(slab: Slab | null, step: (ref: number | Uint8Array) => Sha256Task): Promise<Sha256Answer>;
}

/** One SHA-256 whose state lives in the thread behind `host`. */
export function createSha256Stream(host: Sha256Host, stream: number): Sha256Stream {
  let sequence = 0;
  let ended = false;

  const run = async (
    slab: Slab | null,
    step: (ref: number | Uint8Array) => Sha256Task,
  ): Promise<Uint8Array | null> => {
    const { outcome } = await host.run(slab, step);
    if (outcome.ok) return outcome.digest;
    throw new OrbweaverError('WORKER_FAILED', `SHA-256: ${outcome.message}`, outcome.fields);
  };
  const drop = (): void => {
    run(null, () => ({ kind: 'drop', stream })).catch(() => undefined);
  };

  return {
    async update(slab, start, end) {
      if (ended) throw new OrbweaverError('CLOSED', 'a SHA-256 that has ended takes no more bytes');
      const number = sequence++;
      await run(slab, (ref) => ({
        kind: 'update',
        stream,
        sequence: number,
        slab: ref,
        start,
        end,
      }));
    },
    async digest() {
      if (ended) throw new OrbweaverError('CLOSED', 'a SHA-256 has one digest only');
      ended = true;
      const number = sequence++;
      const digest = await run(null, () => ({ kind: 'digest', stream, sequence: number }));
      if (digest === null) throw new OrbweaverError('INTERNAL', 'a SHA-256 ended without a digest');
      return digest;
    },
    dispose() {
      if (ended) return;
      ended = true;
      if (sequence > 0) drop();
    },
  };
}
