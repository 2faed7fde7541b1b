import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { sevenZipFrame } from '../../src/archive/index.js';
import { bytesBody, type Exchange, type HttpRequest, readAll } from '../../src/http/index.js';
import { passphraseOf } from '../../src/target-servers/cascade/start.js';
import { createCascadeApi } from '../../src/transport/targets/cascade/api.js';
import {
  type CascadeDetails,
  finalStatus,
  readDetails,
} from '../../src/transport/targets/cascade/details.js';
import { readDownloadStatus } from '../../src/transport/targets/cascade/download.js';
import { nameProblem } from '../../src/transport/targets/cascade/names.js';
import { cascadeSettings } from '../../src/transport/targets/cascade/options.js';
import { startOnce } from '../../src/transport/targets/cascade/start.js';
import { checkAmounts } from '../../src/transport/targets/cascade/upload.js';
import type { StepContext } from '../../src/transport/targets/ports.js';
import { classOf } from '../../src/transport/targets.js';
import { patternBytes } from '../digests/vectors.js';
import { cascadeKit, failureOf } from './cascade-kit.js';
import { impatientClock } from './support.js';

/** Known answers of fixtures/targets/vectors.json that concern Cascade: every entry has a test. */

// biome-ignore lint/suspicious/noExplicitAny: each entry has a shape of its own
const vectors: any = JSON.parse(
  readFileSync(new URL('../../fixtures/targets/vectors.json', import.meta.url), 'utf8'),
).cascade;

const json = (status: number, body: unknown): ReturnType<Exchange> =>
  Promise.resolve({
    status,
    headers: {},
    body: bytesBody(new TextEncoder().encode(JSON.stringify(body))),
  });

function settingsWith(exchange: Exchange): ReturnType<typeof cascadeSettings> {
  return cascadeSettings({
    url: 'http://127.0.0.1:8080',
    pastelId: vectors.start_bodies[0].request.app_pastelid,
    passphrase: 'two words',
    acceptCost: true,
    makePublic: true,
    payBurn: async () => '',
    exchange,
    clock: impatientClock(),
    random: () => 0.5,
  });
}

function contextOf(): StepContext & { noted: string[] } {
  const noted: string[] = [];
  return {
    noted,
    source: { name: 'a.bin', sizeBytes: 1, reopenable: true, modifiedMs: null, digests: {} },
    signal: new AbortController().signal,
    digests: {},
    notes: [],
    note: async (kind) => void noted.push(kind),
    progress() {},
    sent() {},
  };
}

describe('amounts of the vectors', () => {
  const uploaded = (body: {
    file_id: string;
    total_estimated_fee: number;
    required_preburn_transaction_amounts: number[];
  }): Parameters<typeof checkAmounts>[0] => ({
    fileId: body.file_id,
    amounts: body.required_preburn_transaction_amounts.map(String),
    totalFee: String(body.total_estimated_fee),
    sha3: '',
  });

  it('that contradict the fee stop the upload before anything is paid', () => {
    const sample = uploaded(vectors.upload_v2_sample.body);
    expect(() => checkAmounts(sample, 4, undefined)).toThrow(/nothing was paid/);
    expect(() => checkAmounts(sample, 7, undefined)).toThrow(/nothing was paid/);
  });

  it('that belong to the fee are paid', () => {
    const sample = uploaded(vectors.upload_v2_consistent.body);
    expect(() => checkAmounts(sample, 7, undefined)).not.toThrow();
    const sum = sample.amounts.reduce((total, amount) => total + Number(amount), 0);
    expect(sum).toBe(vectors.upload_v2_consistent.sum_preburn);
  });

  it('are a fifth of each fee', () => {
    for (const { req_amount, req_burn_txn_amount } of vectors.amount_rule) {
      const one = { fileId: 'a', amounts: [String(req_burn_txn_amount)], sha3: '' };
      expect(() =>
        checkAmounts({ ...one, totalFee: String(req_amount) }, 1, undefined),
      ).not.toThrow();
      expect(() =>
        checkAmounts({ ...one, totalFee: String(req_amount * 1.05) }, 1, undefined),
      ).toThrow();
    }
  });

  it('may have decimals', () => {
    const uploadedOf = { fileId: 'a', amounts: ['12.1', '12.1'], totalFee: '121', sha3: '' };
    expect(() => checkAmounts(uploadedOf, 2, undefined)).not.toThrow();
  });
});

describe('volumes of the vectors', () => {
  it('are made strictly above the volume size', async () => {
    const volumeBytes = 1000;
    const kit = await cascadeKit({ volumeBytes });
    try {
      for (const { size, volume_mib, v1, v2_volumes } of vectors.split_cases) {
        const bytes = size === 0 ? 0 : volumeBytes + (size - volume_mib * 1024 * 1024);
        const result = await kit.upload({ bytes: patternBytes(bytes) });
        const whole = kit.server.file(result.ids['fileId'] as string)?.volumes.length === 1;
        expect(whole).toBe(v2_volumes.startsWith('1'));
        const first = kit.upload({ bytes: patternBytes(bytes), options: { apiVersion: 1 } });
        if (v1 === '201') expect((await first).verified).toBe(true);
        else expect((await failureOf(first)).fields['status']).toBe(Number(v1));
      }
    } finally {
      await kit.close();
    }
  });

  it('have the names of the vectors, in lexicographic order above 999', async () => {
    const { source, names, over_999 } = vectors.volume_names;
    const kit = await cascadeKit({ volumeBytes: 1000, feeUnitBytes: 1000 });
    try {
      const seven = await kit.upload({ bytes: patternBytes(6500), name: source });
      const file = kit.server.file(seven.ids['fileId'] as string);
      expect(file?.volumes.map(({ name }) => name)).toEqual(names);
      const many = await kit.upload({ bytes: patternBytes(1_000_500), name: 'x.bin' });
      const volumes = kit.server.file(many.ids['fileId'] as string)?.volumes ?? [];
      for (const name of over_999)
        expect(volumes.some((volume) => volume.name === name)).toBe(true);
      const after = volumes.find(({ name }) => name === over_999[1]);
      expect(after?.index).toBe(volumes.findIndex(({ name }) => name.endsWith('.100')) + 1);
    } finally {
      await kit.close();
    }
  });

  it('are refused where the server would cut them at a .7z', () => {
    for (const { volume, note } of vectors.original_name_rule) {
      const source = volume.replace(/\.7z\.001$/, '');
      expect(nameProblem(source) === null).toBe(note === undefined);
    }
  });

  it('are slices of an archive in store mode', () => {
    const { name, content_utf8, archive_len, archive_hex } = vectors.sevenzip_store;
    const content = Buffer.from(content_utf8);
    const entry = { name, sizeBytes: content.length, crc: crc32(content) };
    const { head, tail } = sevenZipFrame(entry);
    const archive = Buffer.concat([head, content, tail]);
    expect(archive.toString('hex')).toBe(archive_hex);
    expect(archive).toHaveLength(archive_len);
  });
});

describe('details of the vectors', () => {
  const volumeOf = (file: object, index: number): object => ({
    ...file,
    file_index: String(index),
    reg_txid: vectors.registration_done.reg_txids_by_index[String(index)],
  });

  it('in progress are registering', () => {
    const { first_file } = vectors.registration_in_progress;
    const details = readDetails({ files: [first_file] });
    expect(details).toMatchObject({
      stage: 'registering',
      txid: '',
      hash: first_file.hash_of_original_big_file,
      sizeBytes: first_file.size_of_original_big_file,
    });
    expect(details.volumes[0]).toMatchObject({
      stage: 'registering',
      registrationCount: 1,
      error: '',
    });
  });

  it('when done have the ticket that joins them', () => {
    const { first_file, last_file, cascade_metadata_ticket_id } = vectors.registration_done;
    const files = [0, 1, 2, 3, 4, 5].map((index) => volumeOf(first_file, index));
    const details = readDetails({ files: [...files, last_file] });
    expect(details).toMatchObject({ stage: 'done', txid: cascade_metadata_ticket_id });
    expect(details.volumes.map(({ regTxid }) => regTxid)).toEqual(
      Object.values(vectors.registration_done.reg_txids_by_index),
    );
  });

  for (const [at, { files, engine_state, download_txid }] of vectors.state_cases.entries()) {
    it(`of case ${at} are ${engine_state}`, () => {
      const details: CascadeDetails = readDetails({ files });
      const stage = engine_state === 'unknown_file_id' ? 'unknown' : engine_state;
      expect(details.stage).toBe(stage);
      if (download_txid !== undefined) expect(details.txid).toBe(files[0][download_txid]);
    });
  }

  it('end with the statuses of the vectors', () => {
    const { ok, failed } = vectors.task_status_final;
    for (const text of ok) expect(finalStatus(text)).toBe('ok');
    for (const text of failed) expect(finalStatus(text)).toBe('failed');
    expect(finalStatus('Error Finding Right Supernodes: …')).toBeNull();
    expect(finalStatus('Validating Cascade Reg TXID: 7195')).toBeNull();
  });
});

describe('requests of the vectors', () => {
  const [{ request }, { response_multi }] = vectors.start_bodies;

  it('start with the transactions, and read several tasks', async () => {
    let sent: HttpRequest | null = null;
    let body: unknown;
    const settings = settingsWith(async (asked) => {
      sent = asked;
      body = JSON.parse(new TextDecoder().decode(await readAll(asked.body, 10_000)));
      return json(201, response_multi);
    });
    const context = contextOf();
    const tasks = await startOnce(createCascadeApi(settings), settings, {
      fileId: 'NwWDvdIg',
      txids: request.burn_txids,
      context,
    });
    expect(body).toEqual(request);
    expect((sent as HttpRequest | null)?.url.pathname).toBe('/openapi/cascade/start/NwWDvdIg');
    expect(tasks).toEqual(response_multi.task_id.split(','));
    expect(context.noted).toEqual(['start', 'started']);
  });

  it('carry a passphrase that the server reads whole', async () => {
    for (const { send, server_reads } of vectors.auth_header) {
      expect(passphraseOf(send)).toBe(server_reads);
    }
    const { authorization } = createCascadeApi(settingsWith(async () => json(200, {})));
    expect(passphraseOf(authorization)).toBe('two words');
  });
});

describe('errors of the vectors', () => {
  const expected: Record<string, string> = {
    v1_too_big: 'permanent',
    start_unknown_id: 'transient',
    start_twice: 'transient',
    start_count: 'payment-required',
    start_bad_burn: 'payment-required',
    unauthorized: 'auth',
    download_status_unknown: 'permanent',
  };
  for (const [name, { status, body }] of Object.entries<{ status: number; body: object }>(
    Object.fromEntries(
      Object.entries(vectors.error_bodies).filter(([name]) => name !== 'note'),
    ) as never,
  )) {
    it(`${name} is of the class ${expected[name]}`, async () => {
      const settings = settingsWith(async () => json(status, body));
      const context = contextOf();
      const error = await failureOf(
        startOnce(createCascadeApi(settings), settings, { fileId: 'a', txids: [], context }),
      );
      expect(classOf(error)).toBe(expected[name]);
      // Whether a later run may send it: not after the server may have started.
      const mayHaveStarted = name === 'start_twice';
      expect(context.noted.includes('start-refused')).toBe(!mayHaveStarted);
    });
  }
});

describe('downloads of the vectors', () => {
  const { status_completed, status_in_progress } = vectors.download_v2;

  it('that are completed may be there', () => {
    expect(readDownloadStatus(status_completed)).toEqual({
      state: 'maybe',
      volumeCount: null,
      readyCount: null,
    });
  });

  it('in progress have counters, which are clamped', () => {
    expect(readDownloadStatus(status_in_progress)).toEqual({
      state: 'running',
      volumeCount: 7,
      readyCount: 2,
    });
    const twice = { ...status_in_progress, downloaded_volumes: 9, details: null };
    expect(readDownloadStatus(twice).readyCount).toBe(7);
  });
});
