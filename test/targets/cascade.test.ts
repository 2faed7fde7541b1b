import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bytesBody, readAll } from '../../src/http/index.js';
import { memorySink } from '../../src/io/index.js';
import {
  createCascadeTarget,
  downloadCascade,
  openUndiciSocket,
  restoreCascade,
} from '../../src/transport/targets/cascade/index.js';
import { patternBytes } from '../digests/vectors.js';
import { type CascadeKit, cascadeKit, declined, failureOf } from './cascade-kit.js';
import { Crash, memoryJournal } from './support.js';

const SMALL = patternBytes(5000);
/** Three volumes of 64 KiB, the last one short. */
const LARGE = patternBytes(150_000);
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

let kit: CascadeKit;
beforeEach(async () => {
  kit = await cascadeKit();
});
afterEach(() => kit.close());

describe('a Cascade upload', () => {
  it('of one volume is done with the registration ticket, and verified', async () => {
    const result = await kit.upload({ bytes: SMALL });
    expect(result).toMatchObject({ state: 'done', verified: true, kind: 'cascade' });
    const file = kit.server.file(result.ids['fileId'] as string);
    expect(result.ids['txid']).toBe(file?.volumes[0]?.regTxid);
    expect(kit.server.counts).toMatchObject({ uploads: 1, starts: 1, payments: 1, restores: 0 });
  });

  it('of several volumes is done with the ticket that joins them', async () => {
    const stages = new Set<string>();
    const result = await kit.upload({
      bytes: LARGE,
      onProgress: ({ target }) => target !== null && stages.add(target.stage),
    });
    const file = kit.server.file(result.ids['fileId'] as string);
    expect(file?.volumes.map((volume) => volume.name)).toEqual([
      'a.bin.7z.001',
      'a.bin.7z.002',
      'a.bin.7z.003',
    ]);
    expect(result.ids['txid']).toBe(file?.volumes[0]?.ticketId);
    expect(result.verified).toBe(true);
    expect(result.details['hashRule']).toBe('sha256');
    expect(kit.payments.map(({ index }) => index)).toEqual([0, 1, 2]);
    for (const stage of ['splitting', 'paying', 'starting', 'registering', 'finalizing']) {
      expect(stages).toContain(stage);
    }
  });

  it('of nothing works', async () => {
    expect(await kit.upload({ bytes: new Uint8Array(0) })).toMatchObject({ verified: true });
  });

  it('says stage, attempts and error of each volume while it waits', async () => {
    kit.server.faults.failRegistration = { volume: 1, times: 1 };
    const seen: unknown[] = [];
    await kit.upload({
      bytes: LARGE,
      onProgress: ({ target }) => seen.push(target?.details?.['volumes']),
      onStep: (server) => server.runRestoreWorker(),
    });
    expect(JSON.stringify(seen)).toContain('failed to get enough supernodes');
    expect(seen.at(-1)).toMatchObject([
      { stage: 'concluded', attempts: 2 },
      { stage: 'concluded', attempts: 3 },
      { stage: 'concluded', attempts: 2 },
    ]);
  });

  it('by the first version works for one volume and is refused for more', async () => {
    const result = await kit.upload({ bytes: SMALL, options: { apiVersion: 1 } });
    expect(result.verified).toBe(true);
    const error = await failureOf(kit.upload({ bytes: LARGE, options: { apiVersion: 1 } }));
    expect(error.fields['class']).toBe('permanent');
    expect(error.message).toContain('maximum allowed size');
    expect(kit.server.counts.uploads).toBe(2);
  });

  it('passes on whether everybody may read the file', async () => {
    const result = await kit.upload({ bytes: SMALL, options: { makePublic: true } });
    expect(kit.server.file(result.ids['fileId'] as string)?.public).toBe(true);
  });

  it('refuses a name that the server would mangle, and sends it under a safe one when told', async () => {
    for (const name of ['backup.7z', 'x.7z.bin', 'a\u0001b']) {
      const error = await failureOf(kit.upload({ bytes: SMALL, name }));
      expect(error.fields['class']).toBe('permanent');
    }
    expect(kit.server.counts.uploads).toBe(0);
    const result = await kit.upload({
      bytes: LARGE,
      name: 'backup.7z',
      options: { safeName: true },
    });
    expect(kit.server.file(result.ids['fileId'] as string)?.recordedName).toBe('backup_7z');
  });
});

describe('money', () => {
  it('needs an explicit yes before anything is sent', () => {
    expect(() => createCascadeTarget(kit.options({ acceptCost: false }))).toThrow(/acceptCost/);
  });

  it('is not spent when the amounts do not belong to the fee or the volumes', async () => {
    kit.server.faults.inconsistentAmounts = true;
    const error = await failureOf(kit.upload({ bytes: LARGE }));
    expect(error.message).toContain('nothing was paid');
    expect(kit.server.counts).toMatchObject({ payments: 0, startRequests: 0 });
  });

  it('is not spent above the limit of the caller', async () => {
    const error = await failureOf(kit.upload({ bytes: LARGE, options: { maxFee: 5 } }));
    expect(error.fields['class']).toBe('quota');
    expect(kit.server.counts.payments).toBe(0);
  });

  it('is noted before it moves, and a crash at any entry of the journal pays once', async () => {
    for (let crashAt = 1; ; crashAt++) {
      const again = await cascadeKit();
      try {
        const first = memoryJournal(undefined, crashAt);
        const died = await again.upload({ bytes: LARGE, journal: first }).then(
          () => false,
          (error: unknown) => error instanceof Crash,
        );
        if (!died) {
          expect(crashAt).toBeGreaterThan(15);
          break;
        }
        const outcome = await again
          .upload({ bytes: LARGE, journal: memoryJournal(first.entries) })
          .catch((error: unknown) => error);
        const { payments, startRequests, starts } = again.server.counts;
        expect(payments).toBeLessThanOrEqual(3);
        expect(startRequests).toBeLessThanOrEqual(1);
        if (outcome instanceof Error) {
          // Killed between the note of the start and the start itself: only a human can know.
          expect(outcome).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
          expect(first.entries.at(-1)).toMatchObject({ data: { kind: 'start' } });
          expect((outcome as { fields?: object }).fields).toHaveProperty('fileId');
        } else expect(starts).toBe(1);
      } finally {
        await again.close();
      }
    }
  });

  it('that may have been paid stops without a wallet that can be asked', async () => {
    const journal = memoryJournal();
    const first = await failureOf(
      kit.upload({
        bytes: SMALL,
        journal,
        options: {
          payBurn: async () => {
            throw new Error('the wallet did not respond');
          },
        },
      }),
    );
    expect(first).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect(first.fields).toMatchObject({ class: 'unknown-outcome', amount: '12' });
    expect(first.fields['reference']).toMatch(/^\w{8}-0$/);
    const second = await failureOf(
      kit.upload({ bytes: SMALL, journal, options: { findBurn: undefined } }),
    );
    expect(second.code).toBe('OUTCOME_UNKNOWN');
    expect(kit.server.counts).toMatchObject({ payments: 0, startRequests: 0 });
    const third = await kit.upload({ bytes: SMALL, journal });
    expect(third.verified).toBe(true);
    expect(kit.server.counts).toMatchObject({ payments: 1, startRequests: 1 });
  });

  it('that was declined is asked for again by the next run, and nothing else is', async () => {
    const journal = memoryJournal();
    let left = 1;
    const error = await failureOf(
      kit.upload({
        bytes: LARGE,
        journal,
        options: {
          payBurn: async ({ amount, reference }) => {
            if (left-- === 0) throw declined();
            return kit.server.burn(Number(amount), reference);
          },
        },
      }),
    );
    expect(error.fields['class']).toBe('payment-required');
    expect((await kit.upload({ bytes: LARGE, journal })).verified).toBe(true);
    expect(kit.server.counts).toMatchObject({ payments: 3, uploads: 1, starts: 1 });
  });

  it('paid for an upload that the server lost is used for the next one', async () => {
    const journal = memoryJournal();
    await failureOf(
      kit.upload({
        bytes: LARGE,
        journal,
        options: {
          payBurn: async ({ amount, reference, index }) => {
            if (index === 2) throw declined();
            return kit.server.burn(Number(amount), reference);
          },
        },
      }),
    );
    kit.server.faults.forgetFiles = true;
    expect((await kit.upload({ bytes: LARGE, journal })).verified).toBe(true);
    expect(kit.server.counts).toMatchObject({ payments: 3, uploads: 2, starts: 1 });
  });

  it('that may have been paid for an upload that was lost is looked for as well', async () => {
    const journal = memoryJournal();
    await failureOf(
      kit.upload({
        bytes: LARGE,
        journal,
        options: {
          payBurn: async ({ amount, reference }) => {
            kit.server.burn(Number(amount), reference);
            throw new Error('the wallet went away');
          },
        },
      }),
    );
    kit.server.faults.forgetFiles = true;
    const blind = await failureOf(
      kit.upload({ bytes: LARGE, journal, options: { findBurn: undefined } }),
    );
    expect(blind.code).toBe('OUTCOME_UNKNOWN');
    expect(kit.server.counts.payments).toBe(1);
    expect((await kit.upload({ bytes: LARGE, journal })).verified).toBe(true);
    expect(kit.server.counts).toMatchObject({ payments: 3, starts: 1 });
  });

  it('names a transaction only once, and only a transaction', async () => {
    for (const txid of ['', 'z'.repeat(64), 'ab']) {
      const error = await failureOf(
        kit.upload({ bytes: SMALL, options: { payBurn: async () => txid } }),
      );
      expect(error.code).toBe('OUTCOME_UNKNOWN');
    }
    expect(kit.server.counts.startRequests).toBe(0);
  });
});

describe('a start', () => {
  it('whose response was lost is found by the id of the file and not sent again', async () => {
    kit.server.faults.loseStartResponse = true;
    expect((await kit.upload({ bytes: LARGE })).verified).toBe(true);
    expect(kit.server.counts).toMatchObject({ startRequests: 1, starts: 1, payments: 3 });
  });

  it('that nothing shows is an unknown outcome with the ids, in this run and in the next', async () => {
    const journal = memoryJournal();
    kit.server.faults.dropStart = true;
    const error = await failureOf(kit.upload({ bytes: LARGE, journal }));
    expect(error).toMatchObject({ code: 'OUTCOME_UNKNOWN', fields: { class: 'unknown-outcome' } });
    expect(error.fields['fileId']).toMatch(/^\w{8}$/);
    expect(String(error.fields['burnTxids']).split(',')).toHaveLength(3);
    const again = await failureOf(kit.upload({ bytes: LARGE, journal }));
    expect(again.code).toBe('OUTCOME_UNKNOWN');
    expect(again.fields['fileId']).toBe(error.fields['fileId']);
    expect(kit.server.counts).toMatchObject({ startRequests: 1, starts: 0, payments: 3 });
    expect(journal.state).toBe('closed');
  });

  it('that nothing shows is made by a later run when somebody has looked', async () => {
    const journal = memoryJournal();
    kit.server.faults.dropStart = true;
    await failureOf(kit.upload({ bytes: LARGE, journal, options: { startWhenAbsent: true } }));
    expect(kit.server.counts).toMatchObject({ startRequests: 1, starts: 0 });
    const options = { startWhenAbsent: true };
    expect((await kit.upload({ bytes: LARGE, journal, options })).verified).toBe(true);
    expect(kit.server.counts).toMatchObject({ startRequests: 2, starts: 1, payments: 3 });
  });

  it('that somebody else made is watched', async () => {
    const exchange: typeof kit.server.exchange = async (request) => {
      const isStart = request.method === 'POST' && /\/start\//.test(request.url.pathname);
      if (!isStart) return kit.server.exchange(request);
      const body = await readAll(request.body, 10_000);
      await kit.server.exchange({ ...request, body: bytesBody(body) });
      return kit.server.exchange({ ...request, body: bytesBody(body) });
    };
    expect((await kit.upload({ bytes: SMALL, exchange })).verified).toBe(true);
    expect(kit.server.counts.starts).toBe(1);
  });

  it('is never made by a commit that is called again, and neither is a payment', async () => {
    const journal = memoryJournal();
    const result = await kit.upload({ bytes: SMALL, journal });
    const target = createCascadeTarget(kit.options());
    const ids = journal.entries.map(({ data }) => (data as { ids?: object } | undefined)?.ids);
    const ack = { index: 0, ids: ids.find((each) => each !== undefined && 'amounts' in each) };
    const context = {
      source: { name: 'a', sizeBytes: 5000, reopenable: true, modifiedMs: null, digests: {} },
      signal: new AbortController().signal,
      digests: {},
      notes: [],
      note: async () => {},
      progress() {},
      sent() {},
    };
    const plan = { ids: {}, state: {}, parts: [] };
    const again = await kit.time.run(target.commit(plan, [ack as never], context));
    expect(again).toMatchObject({ state: 'done', ids: { txid: result.ids['txid'] } });
    kit.server.faults.dropStart = true;
    const other = memoryJournal();
    await failureOf(kit.upload({ bytes: SMALL, journal: other }));
    const notes = other.entries.flatMap(({ type, data }) =>
      type === 'note' ? [data as never] : [],
    );
    const acks = other.entries.flatMap(({ type, data }) => (type === 'ack' ? [data as never] : []));
    const error = await failureOf(kit.time.run(target.commit(plan, acks, { ...context, notes })));
    expect(error.code).toBe('OUTCOME_UNKNOWN');
    expect(kit.server.counts).toMatchObject({ payments: 2, startRequests: 2, starts: 1 });
  });

  it('that was refused may be sent by a later run', async () => {
    const journal = memoryJournal();
    const error = await failureOf(
      kit.upload({ bytes: SMALL, journal, options: { passphrase: 'not the right one' } }),
    );
    expect(error.fields).toMatchObject({ class: 'auth', status: 401 });
    expect((await kit.upload({ bytes: SMALL, journal })).verified).toBe(true);
    expect(kit.server.counts).toMatchObject({ starts: 1, payments: 1 });
  });

  it('whose burns are refused is a matter of payment', async () => {
    const error = await failureOf(
      kit.upload({ bytes: SMALL, options: { payBurn: async () => 'a'.repeat(64) } }),
    );
    expect(error.fields).toMatchObject({ class: 'payment-required', burnTxids: 'a'.repeat(64) });
  });

  it('that queued fewer tasks than volumes says so, and the volume is given up in the end', async () => {
    kit.server.faults.unqueuedVolume = 1;
    const seen: unknown[] = [];
    const error = await failureOf(
      kit.upload({
        bytes: LARGE,
        onProgress: ({ target }) => seen.push(target?.details?.['unqueuedCount']),
      }),
    );
    expect(error.message).toContain('never queued');
    expect(seen).toContain(1);
    expect(kit.server.counts.restores).toBe(0);
  });
});

describe('a registration', () => {
  for (const times of [1, 3]) {
    it(`that fails ${times} times is waited for`, async () => {
      kit.server.faults.failRegistration = { volume: 0, times };
      const result = await kit.upload({
        bytes: LARGE,
        onStep: (server) => server.runRestoreWorker(),
      });
      expect(result.verified).toBe(true);
      expect(kit.server.counts).toMatchObject({ starts: 1, restores: 0, payments: 3 });
    });
  }

  it('that fails four times is given up', async () => {
    kit.server.faults.failRegistration = { volume: 0, times: 4 };
    const error = await failureOf(
      kit.upload({ bytes: LARGE, onStep: (server) => server.runRestoreWorker() }),
    );
    expect(error.fields['class']).toBe('permanent');
    expect(error.message).toContain('after 4 attempts');
  });

  it('that fails and is never tried again is given up after an hour', async () => {
    kit.server.faults.failRegistration = { volume: 0, times: 1 };
    const error = await failureOf(kit.upload({ bytes: SMALL }));
    expect(error.message).toContain('a restore may help');
    expect(kit.time.nowMs).toBeGreaterThan(60 * 60_000);
  });

  it('whose activation fails is waited for, then given up', async () => {
    kit.server.faults.failActivation = { volume: 0, times: 1 };
    const result = await kit.upload({
      bytes: SMALL,
      onStep: (server) => server.runRestoreWorker(),
    });
    expect(result.verified).toBe(true);
    kit.server.faults.failActivation = { volume: 0, times: 1 };
    expect((await failureOf(kit.upload({ bytes: SMALL }))).message).toContain('a restore may help');
  });

  it('that is stuck at the joining ticket is an unknown outcome after the patience', async () => {
    kit.server.faults.stuckFinalizing = true;
    const error = await failureOf(kit.upload({ bytes: LARGE }));
    expect(error.fields).toMatchObject({ class: 'unknown-outcome' });
    expect(error.fields['fileId']).toMatch(/^\w{8}$/);
  });

  it('survives a restart of the server and an outage', async () => {
    let steps = 0;
    const result = await kit.upload({
      bytes: LARGE,
      onStep(server) {
        steps++;
        if (steps === 3) server.restart();
        if (steps === 4) server.faults.failDetails = 30;
      },
    });
    expect(result.verified).toBe(true);
  });

  it('whose upload the server forgets is an unknown outcome with the id', async () => {
    const error = await failureOf(
      kit.upload({
        bytes: LARGE,
        onStep: (server) => {
          if (server.counts.starts > 0) server.faults.forgetFiles = true;
        },
      }),
    );
    expect(error.fields).toMatchObject({ class: 'unknown-outcome' });
    expect(error.fields['fileId']).toMatch(/^\w{8}$/);
  });
});

describe('what tasks say over WebSockets', () => {
  it('is words in the progress, and a restart of the server changes nothing else', async () => {
    const words = new Set<unknown>();
    let opened = 0;
    let steps = 0;
    let hear = (): void => {};
    const heard = new Promise<void>((resolve) => {
      hear = resolve;
    });
    const result = await kit.upload({
      bytes: LARGE,
      options: {
        openSocket(url, on) {
          opened++;
          const text = (said: string): void => {
            on.text(said);
            if (said.includes('Validating Burn Txn')) hear();
          };
          return openUndiciSocket(url, { ...on, text });
        },
      },
      onProgress({ target }) {
        const volumes = (target?.details?.['volumes'] ?? []) as readonly { says?: string }[];
        for (const { says } of volumes) words.add(says);
      },
      // Real connections: time waits for the first word.
      async onStep(server) {
        if (opened > 0 && steps++ === 0) await heard;
        if (steps === 3) server.restart();
      },
    });
    expect(result.verified).toBe(true);
    expect(opened).toBeGreaterThanOrEqual(3);
    expect(words).toContain('Validating Burn Txn');
  });

  it('that cannot be heard or understood does not matter', async () => {
    const result = await kit.upload({
      bytes: LARGE,
      options: {
        openSocket(_url, on) {
          on.text('no JSON');
          on.text('{"status":"Task Failed"}');
          on.end();
          return () => {};
        },
      },
    });
    expect(result.verified).toBe(true);
  });
});

describe('the hash that the server wrote down', () => {
  it('may be SHA3-256, and which one fitted is said', async () => {
    kit.server.faults.sha3Hash = true;
    const result = await kit.upload({ bytes: LARGE });
    expect(result).toMatchObject({ verified: true, details: { hashRule: 'sha3-256' } });
  });

  it('that is neither stops before anything is paid', async () => {
    kit.server.faults.wrongHash = true;
    const error = await failureOf(kit.upload({ bytes: LARGE }));
    expect(error.fields['class']).toBe('integrity');
    expect(kit.server.counts).toMatchObject({ payments: 0, startRequests: 0 });
  });

  it('that changes later is a failure of integrity', async () => {
    const error = await failureOf(
      kit.upload({
        bytes: LARGE,
        onStep: (server) => {
          if (server.counts.starts > 0) server.faults.wrongHash = true;
        },
      }),
    );
    expect(error.fields['class']).toBe('integrity');
  });
});

describe('sending the file', () => {
  it('is repeated after a cut, and a lost response leaves a copy that is noted', async () => {
    kit.server.faults.cutUploadAfterBytes = 70_000;
    expect((await kit.upload({ bytes: LARGE })).verified).toBe(true);
    kit.server.faults.loseUploadResponse = true;
    const journal = memoryJournal();
    expect((await kit.upload({ bytes: LARGE, journal })).verified).toBe(true);
    expect(JSON.stringify(journal.entries)).toContain('stray-copy');
    expect(kit.server.counts).toMatchObject({ uploads: 4, starts: 2, payments: 6 });
  });

  it('is repeated twice at most in a run', async () => {
    let uploads = 0;
    const exchange: typeof kit.server.exchange = async (request) => {
      if (request.url.pathname.endsWith('/v2/upload')) {
        uploads++;
        throw new Error('reset');
      }
      return kit.server.exchange(request);
    };
    const journal = memoryJournal();
    const error = await failureOf(kit.upload({ bytes: LARGE, exchange, journal }));
    expect(error.fields['class']).toBe('unknown-outcome');
    expect(uploads).toBe(3);
    expect((await kit.upload({ bytes: LARGE, journal })).verified).toBe(true);
  });

  it('is not repeated from a source that can be read once only', async () => {
    kit.server.faults.cutUploadAfterBytes = 70_000;
    await failureOf(kit.upload({ bytes: LARGE, reopenable: false }));
    expect(kit.server.counts.uploads).toBe(1);
  });

  it('tells faults of the server from faults of the file, both of which come as 400', async () => {
    kit.server.faults.decodePayload = 'exec: "7z": executable file not found in $PATH';
    expect((await kit.upload({ bytes: LARGE })).verified).toBe(true);
    kit.server.faults.decodePayload = 'write /data/x: no space left on device';
    const error = await failureOf(kit.upload({ bytes: LARGE }));
    expect(error.fields['class']).toBe('quota');
  });

  it('is repeated when the fee cannot be looked up', async () => {
    kit.server.faults.failFeeLookup = true;
    expect((await kit.upload({ bytes: SMALL })).verified).toBe(true);
    expect(kit.server.counts.uploads).toBe(2);
  });
});

describe('cancelling', () => {
  it('before the start leaves nothing but a copy', async () => {
    const controller = new AbortController();
    const error = await failureOf(
      kit.upload({
        bytes: SMALL,
        signal: controller.signal,
        options: {
          payBurn: async () => {
            controller.abort();
            throw declined();
          },
        },
      }),
    );
    expect(['ABORTED', 'PAYMENT_REQUIRED']).toContain(error.code);
    expect(kit.server.counts.startRequests).toBe(0);
  });

  it('after the start stops watching only, and the next run goes on', async () => {
    const controller = new AbortController();
    const journal = memoryJournal();
    const error = await failureOf(
      kit.upload({
        bytes: LARGE,
        journal,
        signal: controller.signal,
        onStep: (server) => {
          if (server.counts.starts > 0) controller.abort();
        },
      }),
    );
    expect(error.code).toBe('ABORTED');
    expect((await kit.upload({ bytes: LARGE, journal })).verified).toBe(true);
    expect(kit.server.counts).toMatchObject({ uploads: 1, payments: 3, startRequests: 1 });
  });

  it('says before the first payment that it is possible, and afterwards that it is too late', async () => {
    const target = createCascadeTarget(kit.options());
    const contextWith = (
      kinds: readonly string[],
    ): Parameters<NonNullable<typeof target.cancel>>[1] => ({
      source: { name: 'a', sizeBytes: 1, reopenable: true, modifiedMs: null, digests: {} },
      signal: new AbortController().signal,
      digests: {},
      notes: kinds.map((kind) => ({ kind, data: {} })),
      note: async () => {},
      progress() {},
      sent() {},
    });
    const plan = { ids: {}, state: {}, parts: [] };
    expect(await target.cancel?.(plan, contextWith([]))).toBe('cancelled');
    expect(await target.cancel?.(plan, contextWith(['pay']))).toBe('too-late');
    expect(await target.cancel?.(plan, contextWith(['paid']))).toBe('too-late');
    expect(await target.cancel?.(plan, contextWith(['pay', 'pay-declined']))).toBe('cancelled');
    expect(await target.cancel?.(plan, contextWith(['start']))).toBe('too-late');
  });
});

describe('a restore', () => {
  it('happens only when it is asked for, and says what it came to', async () => {
    kit.server.faults.failRegistration = { volume: 0, times: 4 };
    const error = await failureOf(
      kit.upload({ bytes: LARGE, onStep: (server) => server.runRestoreWorker() }),
    );
    expect(kit.server.counts.restores).toBe(0);
    const result = await kit.time.run(
      restoreCascade({
        ...kit.options({ makePublic: true }),
        fileId: error.fields['fileId'] as string,
        signal: new AbortController().signal,
      }),
    );
    expect(result).toMatchObject({ totalVolumes: 3, registeredVolumes: 2, pendingVolumes: 1 });
    expect(kit.server.counts.restores).toBe(1);
  });
});

describe('a download', () => {
  const download = async (
    txid: string,
    more: { sha256?: string; sizeBytes?: number } = {},
  ): Promise<{ sha256: string; verified: boolean; bytes: Uint8Array }> => {
    const sink = memorySink();
    const { passphrase, pastelId, url, exchange, clock, random } = kit.options();
    const result = await kit.time.run(
      downloadCascade(
        { passphrase, pastelId, url, exchange, clock, random },
        { txid, sink, ...more },
      ),
      () => kit.server.advance(),
    );
    return { ...result, bytes: sink.bytes() };
  };
  const uploaded = async (bytes: Uint8Array): Promise<string> =>
    (await kit.upload({ bytes })).ids['txid'] as string;

  for (const [what, bytes] of [
    ['one volume', SMALL],
    ['several', LARGE],
  ] as const) {
    it(`of ${what} is the file, and checked here`, async () => {
      const result = await download(await uploaded(bytes), { sha256: sha256(bytes) });
      expect(result.verified).toBe(true);
      expect(sha256(result.bytes)).toBe(sha256(bytes));
    });
  }

  it('without a hash to compare is not called verified', async () => {
    const result = await download(await uploaded(SMALL));
    expect(result).toMatchObject({ verified: false, sha256: sha256(SMALL) });
  });

  for (const [what, set] of [
    [
      'Completed comes too early',
      (f: CascadeKit['server']['faults']) => (f.prematureCompleted = 1),
    ],
    [
      'the task is gone after success',
      (f: CascadeKit['server']['faults']) => (f.statusGone = true),
    ],
    ['volumes are counted twice', (f: CascadeKit['server']['faults']) => (f.doubleCount = true)],
    ['details are null', (f: CascadeKit['server']['faults']) => (f.nullDetails = true)],
    [
      'the connection breaks in the middle',
      (f: CascadeKit['server']['faults']) => (f.cutFile = true),
    ],
    ['the bytes are wrong twice', (f: CascadeKit['server']['faults']) => (f.wrongBytes = 2)],
    ['a volume fails', (f: CascadeKit['server']['faults']) => (f.failDownload = true)],
    ['it says Failed', (f: CascadeKit['server']['faults']) => (f.sayFailed = true)],
    [
      'it stays In Progress for ever',
      (f: CascadeKit['server']['faults']) => (f.stuckDownload = true),
    ],
  ] as const) {
    it(`arrives although ${what}`, async () => {
      const txid = await uploaded(LARGE);
      set(kit.server.faults);
      const result = await download(txid, { sha256: sha256(LARGE), sizeBytes: LARGE.length });
      expect(result.verified).toBe(true);
      expect(sha256(result.bytes)).toBe(sha256(LARGE));
    });
  }

  it('whose bytes are wrong three times is a failure of integrity, and nothing is committed', async () => {
    const txid = await uploaded(LARGE);
    kit.server.faults.wrongBytes = 3;
    const error = await failureOf(download(txid, { sha256: sha256(LARGE) }));
    expect(error).toMatchObject({ code: 'INTEGRITY', fields: { class: 'integrity', txid } });
  });

  it('of a ticket that does not exist is not found, and with a wrong passphrase refused', async () => {
    expect((await failureOf(download('f'.repeat(64)))).code).toBe('NOT_FOUND');
    const { url, pastelId, exchange, clock, random } = kit.options();
    const error = await failureOf(
      kit.time.run(
        downloadCascade(
          { url, pastelId, exchange, clock, random, passphrase: 'wrong one' },
          { txid: 'f'.repeat(64), sink: memorySink() },
        ),
      ),
    );
    expect(error.fields['class']).toBe('auth');
  });
});

describe('secrets', () => {
  it('never reach the journal, the progress or an error', async () => {
    const journal = memoryJournal();
    const seen: unknown[] = [];
    kit.server.faults.loseStartResponse = true;
    kit.server.faults.failRegistration = { volume: 0, times: 4 };
    const error = await failureOf(
      kit.upload({
        bytes: LARGE,
        journal,
        onProgress: (progress) => seen.push(progress),
        onStep: (server) => server.runRestoreWorker(),
      }),
    );
    const echo: typeof kit.server.exchange = async (request) => ({
      status: 400,
      headers: {},
      body: {
        fill: async (into) =>
          new TextEncoder().encodeInto(`refused ${request.headers['authorization']}`, into)
            .written * (done++ === 0 ? 1 : 0),
        cancel() {},
      },
    });
    let done = 0;
    const echoed = await failureOf(
      kit.time.run(
        restoreCascade({
          ...kit.options({ exchange: echo }),
          fileId: 'abcdefgh',
          signal: new AbortController().signal,
        }),
      ),
    );
    const text = [
      JSON.stringify(journal.entries),
      JSON.stringify(seen),
      error.stack,
      JSON.stringify(error.fields),
    ];
    text.push(String(echoed.stack), JSON.stringify(echoed.fields));
    for (const word of [kit.server.passphrase, ...kit.server.passphrase.split(' ')]) {
      expect(text.join('\n')).not.toContain(word);
    }
    expect(echoed.message).toContain('refused');
  });

  it('are not sent over plain HTTP to another machine', () => {
    expect(() => createCascadeTarget(kit.options({ url: 'http://node.example' }))).toThrow(/https/);
    expect(() => createCascadeTarget(kit.options({ url: 'https://node.example' }))).not.toThrow();
  });

  it('keep a passphrase of two words whole', async () => {
    expect(kit.server.passphrase).toContain(' ');
    expect((await kit.upload({ bytes: SMALL })).verified).toBe(true);
  });
});
