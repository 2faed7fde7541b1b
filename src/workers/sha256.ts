import type { Sha256Stream, Slab } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import type { Executor } from './executor.js';
import type { Sha256Task, SlabRef } from './messages.js';
import type { Sha256Reply } from './sha256-runner.js';
import type { Slabs } from './slabs.js';

/** What the streams of a pool share. */
export interface Sha256Parts {
  readonly slabs: Slabs;
  readonly sharedMemory: boolean;
  /** One thread, or none: the state of a hash cannot move. */
  readonly executor: Executor<Sha256Task, Sha256Reply>;
  /** Told whether there is state that its thread must keep. */
  readonly keepIdle: (keep: boolean) => void;
}

/** A message without effect. */
export const SHA256_PING: Sha256Task = { kind: 'drop', stream: -1 };

/** Makes streams whose state lives behind one executor, which is kept while one of them is open. */
export function createSha256Streams(parts: Sha256Parts): () => Sha256Stream {
  let count = 0;
  let openCount = 0;
  const onOpen = (by: 1 | -1): void => {
    openCount += by;
    parts.keepIdle(openCount > 0);
  };
  return () => {
    onOpen(1);
    // The thread starts now and not with the first bytes, which are being read meanwhile.
    if (count === 0) void parts.executor.run(SHA256_PING, []).catch(() => undefined);
    return createStream(parts, count++, () => onOpen(-1));
  };
}

function createStream(
  { slabs, sharedMemory, executor }: Sha256Parts,
  stream: number,
  onEnd: () => void,
): Sha256Stream {
  let sequence = 0;
  let ended = false;
  let last: Promise<unknown> = Promise.resolve();

  const run = async (
    used: readonly Slab[],
    step: (ref: SlabRef) => Sha256Task,
  ): Promise<Uint8Array | null> => {
    const before = last;
    const reply = slabs.borrow(used, async ([ref = 0], transfer) => {
      // A slab that travels may be away when its turn comes: the next step must not overtake.
      if (!sharedMemory) await before;
      return executor.run(step(ref), transfer);
    });
    last = reply.catch(() => undefined);
    const { outcome } = await reply;
    if (outcome.ok) return outcome.digest;
    throw new OrbweaverError('WORKER_FAILED', `SHA-256: ${outcome.message}`, outcome.fields);
  };
  const finish = (what: string): void => {
    if (ended) throw new OrbweaverError('CLOSED', what);
    ended = true;
    onEnd();
  };

  return {
    async update(slab, start, end) {
      if (ended) throw new OrbweaverError('CLOSED', 'a SHA-256 that has ended takes no more bytes');
      const step = { kind: 'update', stream, sequence: sequence++, start, end } as const;
      await run([slab], (ref) => ({ ...step, slab: ref }));
    },
    async digest() {
      finish('a SHA-256 has one digest only');
      const digest = await run([], () => ({ kind: 'digest', stream, sequence }));
      if (digest === null) throw new OrbweaverError('INTERNAL', 'a SHA-256 ended without a digest');
      return digest;
    },
    dispose() {
      if (ended) return;
      finish('');
      run([], () => ({ kind: 'drop', stream })).catch(() => undefined);
    },
  };
}
