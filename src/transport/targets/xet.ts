import type { Source } from '../../client/ports.js';
import { OrbweaverError } from '../../errors.js';
import type { Body } from '../../http/index.js';
import { targetError } from './errors.js';
import type { Plan, UploadTarget } from './ports.js';

/** An upload session of the content-addressed store, as this target drives it. */
export interface XetSession {
  add(
    source: Source,
  ): Promise<{ readonly fileHash: { toString(): string }; readonly sizeBytes: number }>;
  finish(): Promise<{ readonly failed: readonly { readonly error: Error }[] }>;
  abort(reason?: unknown): void;
}

/** What {@link createXetTarget} is made with. */
export interface XetTargetOptions {
  /** Opens a session of its own for each file; `signal` ends it. */
  readonly openSession: (signal: AbortSignal) => XetSession;
}

/**
 * The content-addressed store as a target like the others: the part is the whole file, which the
 * session cuts, deduplicates and sends while it is read; the commit registers it. A transfer that
 * stopped begins again, and what the store has by then is found by its chunks.
 */
export function createXetTarget({ openSession }: XetTargetOptions): UploadTarget {
  const sessions = new WeakMap<Plan, XetSession>();
  return {
    kind: 'xet',
    abilities: {
      unit: 'content-chunks',
      parallelParts: 1,
      resume: 'none',
      dedup: 'chunk',
      asyncCommit: false,
      costsMoney: false,
      cancel: 'client-only',
    },
    // Computed a second time, apart from the session: what is registered is compared with what was read.
    digests: { beforePlan: [], beforeCommit: ['fileHash'] },
    repeatable: { send: 'yes', commit: 'yes' },
    async plan({ source }) {
      return { ids: {}, state: {}, parts: [{ index: 0, start: 0, end: source.sizeBytes }] };
    },
    async send(plan, part, body, context) {
      sessions.get(plan)?.abort();
      const session = openSession(context.signal);
      sessions.set(plan, session);
      const { name } = context.source;
      const file = await session.add(bodySource(name, body.sizeBytes, await body.open()));
      return { index: part.index, ids: { file_hash: file.fileHash.toString() } };
    },
    async commit(plan, acks, context) {
      const session = sessions.get(plan);
      const hash = acks[0]?.ids?.['file_hash'];
      if (session === undefined || hash === undefined) {
        throw targetError({
          kind: 'xet',
          class: 'transient',
          message: 'the session is over; the file has to be read again',
          planAgain: true,
        });
      }
      sessions.delete(plan);
      const [failed] = (await session.finish()).failed;
      if (failed !== undefined) throw failed.error;
      return {
        state: 'done',
        ids: { file_hash: hash },
        deduplicated: false,
        evidence: { sizeBytes: context.source.sizeBytes, digests: { fileHash: hash } },
      };
    },
    async status(_plan, { ids }) {
      throw new OrbweaverError(
        'INTERNAL',
        `a commit to this store is never pending: ${JSON.stringify(ids)}`,
      );
    },
    async cancel(plan) {
      sessions.get(plan)?.abort();
      sessions.delete(plan);
      return 'unsupported';
    },
  };
}

/** A body as a source that is read once. */
function bodySource(name: string, sizeBytes: number, body: Body): Source {
  return {
    name,
    sizeBytes,
    reopenable: false,
    open: async () => ({
      read: (into) => body.fill(into),
      close: async () => body.cancel(),
    }),
  };
}
