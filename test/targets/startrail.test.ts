import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Exchange } from '../../src/http/index.js';
import type { CidProfile } from '../../src/target-servers/index.js';
import { createStartrailTarget } from '../../src/transport/targets.js';
import { patternBytes } from '../digests/vectors.js';
import { failureOf } from './cascade-kit.js';
import { type StartrailKit, startrailKit } from './startrail-kit.js';
import { memoryJournal } from './support.js';

const SMALL = patternBytes(712);
/** Above 256 KiB, where importers differ. */
const LARGE = patternBytes(262_145);
const OTHER = patternBytes(713);
const GIB = 1024 ** 3;
const MINUTE_MS = 60_000;

let kit: StartrailKit;
beforeEach(async () => {
  kit = await startrailKit();
});
afterEach(async () => {
  // Whatever a test did: no key ever reached the bucket, and nothing but what it needs.
  expect(kit.server.counts).toMatchObject({ leakedHeaders: 0, extraHeaders: 0 });
  await kit.close();
});

describe('a file with metadata', () => {
  it('is done when hash, CID and size are there and right', async () => {
    const stages: unknown[] = [];
    const result = await kit.upload({
      bytes: SMALL,
      name: 'thumbnail.jpg',
      onProgress: ({ target }) => stages.push(target?.stage),
    });
    expect(result).toMatchObject({
      state: 'done',
      verified: true,
      ids: { filename: 'thumbnail.jpg', issuer: kit.server.issuer },
      details: { cidProfile: 'raw', size: 712 },
    });
    expect(result.ids['finalUrl']).toContain('/thumbnail.jpg');
    expect(result.details['hash']).toBe(`sha256-${result.digests.sha256}`);
    expect(stages).toContain('hashing');
    expect(kit.server.counts).toMatchObject({ puts: 1, stored: 1, signedUrls: 1 });
  });

  it('may be empty', async () => {
    expect((await kit.upload({ bytes: new Uint8Array(0) })).verified).toBe(true);
  });

  it('is not ready while the CID is missing, although the hash is there', async () => {
    kit.server.faults.hashBeforeCid = true;
    let ticks = 0;
    const result = await kit.upload({
      bytes: SMALL,
      onStep: async () => {
        if (ticks++ < 2) await kit.server.tick();
      },
    });
    expect(result.verified).toBe(true);
    expect(ticks).toBe(2);
  });

  it('is read from "payload" where "results" belongs', async () => {
    kit.server.faults.payloadKey = true;
    expect((await kit.upload({ bytes: SMALL })).verified).toBe(true);
  });

  for (const [profile, said] of [
    ['raw', 'raw'],
    ['raw-256KiB-174', 'raw-256KiB-174'],
    ['unixfs-v1-2025', 'raw'],
    ['unknown', 'unknown'],
  ] satisfies [CidProfile, CidProfile][]) {
    it(`has a CID of the importer ${profile}, which is said and not enforced`, async () => {
      kit.server.cidProfile = profile;
      const result = await kit.upload({ bytes: LARGE });
      expect(result).toMatchObject({ verified: true, details: { cidProfile: said } });
    });
  }

  it('has a CID of 1 MiB leaves above 1 MiB', async () => {
    kit.server.cidProfile = 'unixfs-v1-2025';
    const result = await kit.upload({ bytes: patternBytes(1_048_577) });
    expect(result.details['cidProfile']).toBe('unixfs-v1-2025');
  });

  it('with an unknown CID is refused when the caller is strict', async () => {
    kit.server.cidProfile = 'unknown';
    const error = await failureOf(kit.upload({ bytes: LARGE, options: { strictCid: true } }));
    expect(error.fields['class']).toBe('integrity');
  });

  for (const fault of ['wrongHash', 'wrongSize'] as const) {
    it(`with ${fault} is a failure of integrity`, async () => {
      kit.server.faults[fault] = true;
      const error = await failureOf(kit.upload({ bytes: SMALL }));
      expect(error.fields).toMatchObject({ class: 'integrity', filename: 'a.bin' });
    });
  }
});

describe('names, categories and sizes', () => {
  for (const name of ['has space.jpg', 'noextension', 'a?b.jpg', 'a\u0007.jpg', 'dot.']) {
    it(`refuse ${JSON.stringify(name)} before anything is sent`, async () => {
      const error = await failureOf(kit.upload({ bytes: SMALL, name }));
      expect(error.fields['class']).toBe('permanent');
      expect(kit.server.counts).toMatchObject({ signedUrls: 0, metadataCalls: 0 });
    });
    it(`change ${JSON.stringify(name)} when they are told to`, async () => {
      const result = await kit.upload({ bytes: SMALL, name, options: { safeName: true } });
      expect(result.ids['filename']).toMatch(/^[^\s/?]+\.[^\s/.?]+$/);
    });
  }

  it('get a part of the digest before the extension when they have to be unique', async () => {
    const result = await kit.upload({
      bytes: SMALL,
      name: 'contract.v1.pdf',
      options: { uniqueName: true },
    });
    expect(result.ids['filename']).toBe('contract.v1-6dcc17084a8a.pdf');
  });

  it('refuse 2^31 bytes unless the limit is raised', async () => {
    const huge = { ...(await import('../../src/io/index.js')).bytesSource(SMALL, 'a.bin') };
    const { runTarget } = await import('../../src/transport/targets.js');
    const { digests } = await import('./support.js');
    const source = { ...huge, sizeBytes: 2 ** 31 };
    const { clock } = kit.time;
    const target = createStartrailTarget(kit.options());
    const error = await failureOf(runTarget(source, target, { clock, random: () => 0, digests }));
    expect(error).toMatchObject({ code: 'LIMIT_EXCEEDED', fields: { limitBytes: 2 ** 31 - 1 } });
    const raised = createStartrailTarget(kit.options({ maxBytes: 20 * GIB }));
    expect(raised.abilities.maxBytes).toBe(20 * GIB);
  });

  it('refuse a category, key or issuer of the wrong form', () => {
    const make = (more: object) => () => createStartrailTarget(kit.options(more));
    expect(make({ category: 'picture' })).toThrow(RangeError);
    expect(make({ issuer: '0x12' })).toThrow(TypeError);
    expect(make({ apiKey: 'two words' })).toThrow(TypeError);
    expect(make({ batchCount: 0 })).toThrow(RangeError);
    expect(make({ url: 'http://api.example' })).toThrow(/https/);
  });
});

describe('a name that is taken', () => {
  for (const place of ['signedUrls', 'put', 'later'] as const) {
    it(`is a permanent conflict when it shows at "${place}"`, async () => {
      kit.server.faults.nameTakenAt = place;
      await kit.server.plant('a.bin', OTHER);
      // The look before the upload does not see it.
      kit.server.faults.invisible = 1;
      const journal = memoryJournal();
      const error = await failureOf(kit.upload({ bytes: SMALL, journal }));
      expect(error).toMatchObject({ code: 'CONFLICT', fields: { class: 'conflict' } });
      expect(error.fields['filename']).toBe('a.bin');
      expect(journal.state).toBe('dropped');
      expect(kit.server.counts.puts).toBe(place === 'signedUrls' ? 0 : 1);
    });
  }

  it('is seen before anything is sent', async () => {
    await kit.server.plant('a.bin', OTHER);
    await kit.server.tick();
    const error = await failureOf(kit.upload({ bytes: SMALL }));
    expect(error.code).toBe('CONFLICT');
    expect(kit.server.counts).toMatchObject({ puts: 0, signedUrls: 0 });
  });

  it('by a file whose hash nobody knows yet is a conflict, too', async () => {
    await kit.server.plant('a.bin', SMALL);
    expect((await failureOf(kit.upload({ bytes: SMALL }))).code).toBe('CONFLICT');
  });

  it('by the same content counts as stored', async () => {
    await kit.server.plant('a.bin', SMALL);
    await kit.server.tick();
    expect((await kit.upload({ bytes: SMALL })).verified).toBe(true);
    expect(kit.server.counts.puts).toBe(0);
  });
});

describe('a signed URL', () => {
  it('is asked for just before each PUT', async () => {
    const order: string[] = [];
    const exchange: Exchange = (request) => {
      order.push(`${request.method} ${request.url.pathname.split('/').at(-1)}`);
      return kit.server.exchange(request);
    };
    await kit.uploadAll(
      ['a', 'b', 'c'].map((name) => ({ name: `${name}.bin`, bytes: SMALL })),
      { exchange },
    );
    const urls = order.filter((step) => !step.endsWith('fileMetadata'));
    expect(urls).toEqual([
      'POST signedUrls',
      'PUT a.bin',
      'POST signedUrls',
      'PUT b.bin',
      'POST signedUrls',
      'PUT c.bin',
    ]);
  });

  for (const fault of ['expiredUrl', 'wrongContentType'] as const) {
    it(`that the bucket refuses (${fault}) is replaced once`, async () => {
      kit.server.faults[fault] = true;
      expect((await kit.upload({ bytes: SMALL })).verified).toBe(true);
      expect(kit.server.counts).toMatchObject({ signedUrls: 2, puts: 2 });
    });
  }

  it('that the bucket always refuses fails after the second', async () => {
    kit.server.faults.alwaysExpired = true;
    const error = await failureOf(kit.upload({ bytes: SMALL }));
    expect(error.fields).toMatchObject({ class: 'auth', status: 403 });
    expect(kit.server.counts.signedUrls).toBe(2);
  });

  it('that redirects is not followed', async () => {
    kit.server.faults.redirectPut = 'https://elsewhere.example/';
    const seen: string[] = [];
    const exchange: Exchange = (request) => {
      seen.push(request.url.host);
      return kit.server.exchange(request);
    };
    const error = await failureOf(kit.upload({ bytes: SMALL, exchange }));
    expect(error.fields['class']).toBe('permanent');
    expect(seen).not.toContain('elsewhere.example');
  });

  it('that points into a private network is not used', async () => {
    for (const origin of ['http://169.254.169.254', 'http://10.0.0.1', 'ftp://127.0.0.1']) {
      kit.server.faults.urlOrigin = origin;
      const error = await failureOf(kit.upload({ bytes: SMALL }));
      expect(error.code).toBe('UNSAFE_URL');
    }
    expect(kit.server.counts.puts).toBe(0);
  });

  it('and the key are in no journal, no progress and no error', async () => {
    const journal = memoryJournal();
    const seen: unknown[] = [];
    await kit.server.plant('a.bin', OTHER);
    kit.server.faults.failPut = 1;
    kit.server.faults.invisible = 2;
    const error = await failureOf(
      kit.upload({ bytes: SMALL, journal, onProgress: (progress) => seen.push(progress) }),
    );
    const leaking: Exchange = async (request) => {
      throw new Error(`${request.url.href} ${JSON.stringify(request.headers)}`);
    };
    const leaked = await failureOf(kit.upload({ bytes: SMALL, exchange: leaking, journal }));
    const text = [JSON.stringify(journal.entries), JSON.stringify(seen)];
    for (const each of [error, leaked]) text.push(each.message, JSON.stringify(each.fields));
    expect(text.join('\n')).not.toContain(kit.server.apiKey);
    expect(text.join('\n')).not.toContain('X-Goog');
    expect(text.join('\n')).toContain('a.bin');
  });
});

describe('a PUT', () => {
  it('that is cut in the middle begins again from byte 0', async () => {
    kit.server.faults.cutPutAfterBytes = 100_000;
    expect((await kit.upload({ bytes: LARGE })).verified).toBe(true);
    expect(kit.server.counts).toMatchObject({ puts: 2, stored: 1 });
  });

  it('whose response was lost is looked for and not made again', async () => {
    kit.server.faults.losePutResponse = true;
    expect((await kit.upload({ bytes: LARGE })).verified).toBe(true);
    expect(kit.server.counts).toMatchObject({ puts: 1, stored: 1 });
  });

  it('whose response was lost while nothing is visible is made again, and refused as ours', async () => {
    kit.server.faults.losePutResponse = true;
    kit.server.faults.invisible = 3;
    const result = await kit.upload({ bytes: LARGE });
    expect(result.verified).toBe(true);
    expect(kit.server.counts.stored).toBe(1);
  });

  it('that fails with 503 is made again, five times at most', async () => {
    kit.server.faults.failPut = 4;
    expect((await kit.upload({ bytes: SMALL })).verified).toBe(true);
    expect(kit.server.counts.puts).toBe(5);
  });

  it('is not made again from a source that can be read once only', async () => {
    kit.server.faults.cutPutAfterBytes = 100_000;
    await failureOf(kit.upload({ bytes: LARGE, reopenable: false }));
    expect(kit.server.counts.puts).toBe(1);
  });
});

describe('waiting for the metadata', () => {
  it('tolerates 404 for two minutes, and no longer', async () => {
    kit.server.faults.invisible = 5;
    expect((await kit.upload({ bytes: SMALL })).verified).toBe(true);
    const journal = memoryJournal();
    const error = await failureOf(
      kit.upload({
        bytes: SMALL,
        name: 'b.bin',
        journal,
        onStep: () => {
          kit.server.faults.vanished = 'b.bin';
        },
      }),
    );
    expect(error).toMatchObject({ code: 'NOT_FOUND', fields: { class: 'permanent' } });
    // So that the next run stores it again.
    expect(journal.state).toBe('dropped');
  });

  it('gives up after 30 minutes per started GiB as an unknown outcome, and goes on later', async () => {
    const journal = memoryJournal();
    const error = await failureOf(kit.upload({ bytes: SMALL, journal, onStep: () => {} }));
    expect(error.fields).toMatchObject({ class: 'unknown-outcome', filename: 'a.bin' });
    expect(error.fields['finalUrl']).toContain('a.bin');
    expect(kit.time.nowMs).toBeGreaterThanOrEqual(30 * MINUTE_MS);
    expect(kit.time.nowMs).toBeLessThan(32 * MINUTE_MS);
    await kit.server.tick();
    expect((await kit.upload({ bytes: SMALL, journal })).verified).toBe(true);
    expect(kit.server.counts.puts).toBe(1);
  });

  it('goes through an outage and a limit on requests', async () => {
    kit.server.faults.badGateway = 3;
    kit.server.faults.rateLimited = 2;
    let steps = 0;
    const result = await kit.upload({
      bytes: SMALL,
      onStep: async () => {
        if (++steps === 8) kit.server.faults.badGateway = 12;
        if (steps > 30) await kit.server.tick();
      },
    });
    expect(result.verified).toBe(true);
  });

  it('asks for many files at once, 50 at most, and takes out those that are missing', async () => {
    const files = Array.from({ length: 53 }, (_, at) => ({
      name: `f${at}.bin`,
      bytes: patternBytes(10 + at),
    }));
    const outcomes = await kit.uploadAll(files, {
      onStep: async () => {
        // Holes in the indexes: the call is 404, and the others have to be asked for again.
        kit.server.faults.vanished = 'f7.bin';
        await kit.server.tick();
      },
    });
    expect(kit.server.counts.longestBatch).toBe(50);
    expect(outcomes.filter((each) => !(each instanceof Error))).toHaveLength(52);
    expect(outcomes[7]).toMatchObject({ code: 'NOT_FOUND' });
    expect(outcomes[52]).toMatchObject({ verified: true, ids: { filename: 'f52.bin' } });
  });

  it('is done for each file when that one is ready, whatever the others do', async () => {
    const ready: string[] = [];
    let steps = 0;
    const slow: Exchange = async (request) => kit.server.exchange(request);
    const outcomes = await kit.uploadAll(
      [
        { name: 'first.bin', bytes: SMALL },
        { name: 'second.bin', bytes: OTHER },
      ],
      {
        exchange: slow,
        onProgress: ({ phase, name }) => phase === 'done' && ready.push(name),
        onStep: async () => {
          if (++steps === 1) await kit.server.tick();
        },
      },
    );
    expect(outcomes.every((each) => !(each instanceof Error))).toBe(true);
    expect(ready).toHaveLength(2);
  });
});

describe('a later run', () => {
  it('goes on with a file that was stored, and does not send it again', async () => {
    const journal = memoryJournal();
    const controller = new AbortController();
    const error = await failureOf(
      kit.upload({
        bytes: LARGE,
        journal,
        signal: controller.signal,
        onStep: () => controller.abort(),
      }),
    );
    expect(error.code).toBe('ABORTED');
    await kit.server.tick();
    expect((await kit.upload({ bytes: LARGE, journal })).verified).toBe(true);
    expect(kit.server.counts.puts).toBe(1);
  });

  it('recognises its own file when it was killed before the acknowledgement', async () => {
    const first = memoryJournal();
    kit.server.faults.losePutResponse = true;
    const dying: Exchange = async (request) => {
      try {
        return await kit.server.exchange(request);
      } catch {
        throw new TypeError('killed');
      }
    };
    await failureOf(kit.upload({ bytes: LARGE, journal: first, exchange: dying }));
    const journal = memoryJournal(first.entries);
    expect((await kit.upload({ bytes: LARGE, journal })).verified).toBe(true);
    expect(kit.server.counts).toMatchObject({ puts: 1, stored: 1 });
  });
});
