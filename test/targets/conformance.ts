import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JournalEntry } from '../../src/client/ports.js';
import type { Clock } from '../../src/flow/index.js';
import {
  classOf,
  type RunTargetOptions,
  runTarget,
  type TargetResult,
  type TransferProgress,
  type UploadTarget,
} from '../../src/transport/targets.js';
import { generate } from '../support/generators.js';
import { type CountedSource, Crash, countedSource, digests, memoryJournal } from './support.js';

/** A target with its server, as the suite needs it. All of it is made anew for each test. */
export interface TargetRig {
  readonly clock: Clock;
  /** A target of a new process: it knows nothing of what an earlier one did. */
  target(): UploadTarget;
  /** The bytes that the server has for a result. */
  stored(result: TargetResult): Promise<Uint8Array>;
  /** The next step of this kind is carried out, and its response is lost. */
  loseResponse(step: 'send' | 'commit'): void;
  /** The server takes no token or key any more. */
  refuse(): void;
  /** What the server tells or keeps from now on is not what was sent. Absent: it cannot go wrong unseen. */
  damage?(): void;
  /** Commits that the server carried out (or began, where they are slow). */
  commits(): number;
  /** Texts that must never be in a journal. */
  readonly secrets: readonly string[];
  /** The process died after this entry where nobody can know whether a step was made: it says so. */
  unknowable?(last: JournalEntry | undefined): boolean;
  /** Called while the suite waits for something slow, to let the server go on. */
  tick?(): void;
  close(): Promise<void>;
}

/**
 * What every {@link UploadTarget} has to do, whatever the system behind it. `factory` makes a rig with a
 * server of its own.
 */
export function describeTarget(name: string, factory: () => Promise<TargetRig>): void {
  describe(`the target ${name}`, () => {
    const bytes = generate({ kind: 'splitmix64', seed: 4711, bytes: 700_001 });
    let rig: TargetRig;
    beforeEach(async () => {
      rig = await factory();
    });
    afterEach(() => rig.close());

    const run = (
      source: CountedSource,
      options: Partial<RunTargetOptions> = {},
      target = rig.target(),
    ): Promise<TargetResult> =>
      runTarget(source, target, {
        clock: rig.clock,
        random: () => 0.5,
        digests,
        ...options,
        onProgress: (progress) => {
          rig.tick?.();
          options.onProgress?.(progress);
        },
      });

    it('declares what fits together', () => {
      const { abilities, repeatable, check, cancel, kind } = rig.target();
      expect(['xet', 'multipart', 'cascade', 'startrail']).toContain(kind);
      expect(abilities.parallelParts).toBeGreaterThanOrEqual(1);
      const needsCheck = repeatable.send !== 'yes' || repeatable.commit !== 'yes';
      if (needsCheck) expect(check).toBeTypeOf('function');
      if (abilities.cancel === 'server') expect(cancel).toBeTypeOf('function');
      if (abilities.unit !== 'fixed-parts') expect(abilities.parallelParts).toBe(1);
    });

    for (const sizeBytes of [1, 262_144, 700_001]) {
      it(`takes ${sizeBytes} bytes, checks them, and tells where they are`, async () => {
        const sent = bytes.subarray(0, sizeBytes);
        const source = countedSource(sent);
        const result = await run(source);
        expect(result).toMatchObject({
          state: 'done',
          verified: true,
          name: 'a file.bin',
          sizeBytes,
        });
        expect(Object.keys(result.ids).length).toBeGreaterThan(0);
        expect(Buffer.compare(await rig.stored(result), sent)).toBe(0);
        const target = rig.target();
        for (const digest of [...target.digests.beforePlan, ...target.digests.beforeCommit]) {
          expect(result.digests).toHaveProperty(digest);
        }
        // One pass, and one more where digests have to be known before anything is sent.
        const passes = target.digests.beforePlan.length > 0 ? 2 : 1;
        expect(source.opened).toBe(passes);
        expect(source.readBytes).toBe(passes * sizeBytes);
      });
    }

    it('computes what the caller wants besides in the same pass', async () => {
      const source = countedSource(bytes);
      const { digests: made } = await run(source, {
        alsoDigests: ['cid1MiB1024', 'fileHash', 'sha256'],
      });
      expect(made.cid1MiB1024).toMatch(/^bafk/);
      expect(made.fileHash).toMatch(/^[0-9a-f]{64}$/);
      expect(source.opened).toBe(rig.target().digests.beforePlan.length > 0 ? 2 : 1);
    });

    it('tells of progress that never goes back and ends with all bytes', async () => {
      const seen: TransferProgress[] = [];
      await run(countedSource(bytes), { onProgress: (progress) => seen.push(progress) });
      const acknowledged = seen.map((progress) => progress.acknowledgedBytes);
      expect(acknowledged).toEqual([...acknowledged].sort((a, b) => a - b));
      expect(seen.at(-1)).toMatchObject({
        phase: 'done',
        acknowledgedBytes: bytes.length,
        inFlightBytes: 0,
        totalBytes: bytes.length,
      });
    });

    for (const step of ['send', 'commit'] as const) {
      it(`survives a lost response to "${step}" without committing twice`, async () => {
        rig.loseResponse(step);
        const result = await run(countedSource(bytes));
        expect(result.state).toBe('done');
        expect(Buffer.compare(await rig.stored(result), bytes)).toBe(0);
        // Where a commit may be repeated, a second one changes nothing.
        const most = rig.target().repeatable.commit === 'yes' ? 2 : 1;
        expect(rig.commits()).toBeGreaterThanOrEqual(1);
        expect(rig.commits()).toBeLessThanOrEqual(most);
      });
    }

    it('goes on in a new process wherever the old one died', async () => {
      let crashes = 0;
      for (let at = 1; ; at++) {
        const first = memoryJournal(undefined, at);
        const died = await run(countedSource(bytes), { journal: first }).then(
          () => false,
          (error: unknown) => {
            if (!(error instanceof Crash)) throw error;
            return true;
          },
        );
        if (!died) break;
        crashes++;
        const second = memoryJournal(first.entries);
        const before = rig.commits();
        const resumed = run(countedSource(bytes), { journal: second });
        if (rig.unknowable?.(first.entries.at(-1)) === true) {
          const error: unknown = await resumed.catch((thrown: unknown) => thrown);
          expect(classOf(error)).toBe('unknown-outcome');
          expect(rig.commits()).toBe(before);
          await rig.close();
          rig = await factory();
          continue;
        }
        const result = await resumed;
        expect(result.state, `died after entry ${at}`).toBe('done');
        expect(second.state).toBe('dropped');
        expect(Buffer.compare(await rig.stored(result), bytes)).toBe(0);
        expect(rig.commits() - before).toBeLessThanOrEqual(1);
        await rig.close();
        rig = await factory();
      }
      expect(crashes).toBeGreaterThan(0);
    });

    it('writes no secret into the journal, and leaves none when it is done', async () => {
      const journal = memoryJournal();
      await run(countedSource(bytes), { journal });
      expect(journal.state).toBe('dropped');
      const text = JSON.stringify(journal.entries);
      for (const secret of rig.secrets) expect(text).not.toContain(secret);
      expect(rig.secrets.length + (rig.target().kind === 'xet' ? 1 : 0)).toBeGreaterThan(0);
    });

    it('stops when it is cancelled, and keeps the journal for another time', async () => {
      const controller = new AbortController();
      const journal = memoryJournal();
      const running = run(countedSource(bytes), {
        journal,
        signal: controller.signal,
        onProgress: ({ inFlightBytes }) => {
          if (inFlightBytes > 0) controller.abort();
        },
      });
      await expect(running).rejects.toMatchObject({ code: 'ABORTED' });
      expect(journal.state).toBe('closed');
      const result = await run(countedSource(bytes), { journal: memoryJournal(journal.entries) });
      expect(Buffer.compare(await rig.stored(result), bytes)).toBe(0);
    });

    it('says that it was refused by the class "auth", without the secret', async () => {
      rig.refuse();
      const error: Error = await run(countedSource(bytes)).then(
        () => expect.fail('expected a refusal'),
        (thrown: Error) => thrown,
      );
      expect(classOf(error)).toBe('auth');
      for (const secret of rig.secrets) expect(`${error.message}`).not.toContain(secret);
    });

    it('never calls something done that is not what was sent', async ({ skip }) => {
      if (rig.damage === undefined) return skip('this server tells nothing that could be wrong');
      rig.damage();
      const error: unknown = await run(countedSource(bytes)).catch((thrown: unknown) => thrown);
      return expect(classOf(error)).toBe('integrity');
    });

    it('notices a source that is longer or shorter than it said', async () => {
      for (const sizeBytes of [bytes.length - 1, bytes.length + 1]) {
        const source = countedSource(bytes, { sizeBytes });
        await expect(run(source)).rejects.toMatchObject({ code: 'INPUT_CHANGED' });
      }
    });

    it('refuses a source of unknown size, since no such system takes one', async () => {
      const { sizeBytes: _, ...source } = { ...countedSource(bytes) };
      await expect(run(source as CountedSource)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    });
  });
}
