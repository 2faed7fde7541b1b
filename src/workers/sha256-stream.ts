import type { Sha256Stream, Slab } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import type { Sha256Task, SlabRef } from './messages.js';
import type { Sha256Answer } from './sha256-runner.js';

/** What a stream needs of its pool. */
export interface Sha256Host {
  /** True when {@link lend} calls `work` before it returns. */
  readonly lendsAtOnce: boolean;
  /** Lends `slab` (null: none) to `work`. */
  lend(
    slab: Slab | null,
    work: (ref: SlabRef, transfer: ArrayBuffer[]) => Promise<Sha256Answer>,
  ): Promise<Sha256Answer>;
  /** Steps run in the order of the calls. */
  send(task: Sha256Task, transfer: ArrayBuffer[]): Promise<Sha256Answer>;
}

/** One SHA-256 whose state lives in the thread behind `host`. */
export function createSha256Stream(host: Sha256Host, stream: number): Sha256Stream {
  let sequence = 0;
  let ended = false;
  let last: Promise<unknown> = Promise.resolve();

  const run = async (
    slab: Slab | null,
    step: (ref: SlabRef) => Sha256Task,
  ): Promise<Uint8Array | null> => {
    const before = last;
    const answer = host.lend(slab, async (ref, transfer) => {
      // A slab that travels may be away when its turn comes: the next step must not overtake.
      if (!host.lendsAtOnce) await before;
      return host.send(step(ref), transfer);
    });
    last = answer.catch(() => undefined);
    const { outcome } = await answer;
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
