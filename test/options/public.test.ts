import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as gateway from '../../src/gateway.js';
import { createHub } from '../../src/hub.js';
import * as client from '../../src/index.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import * as targets from '../../src/targets.js';

/**
 * Whatever takes options refuses the same mistakes in the same words, before it does anything: a name that
 * does not exist, and a value of another type.
 */

type Options = Readonly<Record<string, unknown>>;
interface Row {
  /** What is said to take the option. @default the name of the row */
  readonly owner?: string;
  /** All that is needed; nothing of it is touched, because the mistake comes first. */
  readonly valid?: Options;
  /** An option of the wrong type. */
  readonly wrong: Options;
  readonly call: (options: never) => unknown;
}

const HASH = '0'.repeat(64);
const store = gateway.createMemoryStore();
const parts = { hasher: {}, codec: {} };
const ports = { exchange: async () => ({}), clock: {}, random: () => 0 };
let folder = '';
let ours: client.OrbweaverClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-options-'));
  ours = await client.createClient({ endpoint: 'http://127.0.0.1:9', workers: 0 });
});
afterAll(async () => {
  await ours.close();
  await rm(folder, { recursive: true, force: true });
});

const signal = { signal: 'now' };
const ROWS: Readonly<Record<string, Row>> = {
  createClient: { valid: { endpoint: null }, wrong: { token: 7 }, call: client.createClient },
  upload: { wrong: signal, call: (options) => ours.upload([], options) },
  download: { valid: { to: 'x' }, wrong: signal, call: (options) => ours.download(HASH, options) },
  planDownload: { wrong: signal, call: (options) => ours.planDownload(HASH, options) },
  stream: { wrong: signal, call: (options) => ours.stream(HASH, options) },
  downloadZip: {
    valid: { to: 'x' },
    wrong: signal,
    call: (options) => ours.downloadZip([], options),
  },
  planZip: { wrong: signal, call: (options) => ours.planZip([], options) },
  edit: { wrong: signal, call: (options) => ours.edit(HASH, [], options) },
  open: { wrong: signal, call: (options) => ours.open(HASH, options) },
  chunkInput: { wrong: signal, call: (options) => client.chunkInput(new Uint8Array(1), options) },
  createHub: { wrong: { accessToken: 7 }, call: createHub },
  startGateway: { valid: { data: 'x' }, wrong: { port: '80' }, call: gateway.startGateway },
  createMirror: {
    valid: { endpoint: 'http://127.0.0.1:9' },
    wrong: { waitMs: 'long' },
    call: gateway.createMirror,
  },
  openStore: { wrong: { sync: 1 }, call: (options) => gateway.openStore(folder, options) },
  createDiskStore: {
    wrong: { sync: 1 },
    call: (options) => gateway.createDiskStore(folder, options),
  },
  createS3Store: {
    wrong: { region: 1 },
    call: (options) => gateway.createS3Store('s3://bucket', options),
  },
  createMemoryStore: { wrong: { clock: 1 }, call: gateway.createMemoryStore },
  createNodeServer: {
    wrong: { port: '80' },
    call: (options) => gateway.createNodeServer({} as gateway.Gateway, options),
  },
  createNodeListener: {
    wrong: { prefix: 1 },
    call: (options) => gateway.createNodeListener({} as gateway.Gateway, options),
  },
  createMetricsServer: {
    wrong: { port: '80' },
    call: (options) => gateway.createMetricsServer({ read: async () => ({}) as never }, options),
  },
  createPrometheusMetrics: { wrong: { process: 1 }, call: gateway.createPrometheusMetrics },
  createGatewayLog: {
    valid: { write: () => {} },
    wrong: { format: 1 },
    call: gateway.createGatewayLog,
  },
  createTokenSigner: {
    valid: { keys: {} },
    wrong: { keys: 1 },
    call: gateway.createTokenSigner,
  },
  createStoreRepair: {
    valid: { ...parts, upstream: { endpoint: 'http://127.0.0.1:9' } },
    wrong: { upstream: 'x' },
    call: (options) => gateway.createStoreRepair(store, options),
  },
  exportToArchive: {
    valid: { ...parts, path: 'x' },
    wrong: signal,
    call: (options) => gateway.exportToArchive(store, [], options),
  },
  importFromArchive: {
    valid: { ...parts, path: 'x' },
    wrong: signal,
    call: (options) => gateway.importFromArchive(store, options),
  },
  collectGarbage: {
    valid: { hasher: {} },
    wrong: { dryRun: 'yes' },
    call: (options) => gateway.collectGarbage(store, options),
  },
  copyStore: {
    valid: parts,
    wrong: signal,
    call: (options) => gateway.copyStore(store, store, options),
  },
  scrubStore: {
    valid: parts,
    wrong: { rate: 'fast' },
    call: (options) => gateway.scrubStore(store, options),
  },
  storeStats: {
    valid: { hasher: {} },
    wrong: signal,
    call: (options) => gateway.storeStats(store, options),
  },
  listStoredFiles: {
    valid: { hasher: {} },
    wrong: { hasher: 1 },
    call: (options) => gateway.listStoredFiles(store, options).next(),
  },
  removeStoredFiles: {
    valid: { hasher: {} },
    wrong: { force: 1 },
    call: (options) => gateway.removeStoredFiles(store, [], options),
  },
  pruneRepositories: {
    valid: { hasher: {} },
    wrong: { dryRun: 1 },
    call: (options) => gateway.pruneRepositories(store, options),
  },
  recount: {
    valid: { hasher: {} },
    wrong: { clock: 1 },
    call: (options) => gateway.recount(store, options),
  },
  startTargetServer: {
    wrong: { port: '80' },
    call: (options) => targets.startTargetServer('multipart', options),
  },
  createMultipartServer: {
    valid: { generation: 'g2', clock: SYSTEM_CLOCK },
    wrong: { folder: 1 },
    call: targets.createMultipartServer,
  },
  startCascadeServer: { wrong: { port: '80' }, call: targets.startCascadeServer },
  startMetadataServer: { wrong: { port: '80' }, call: targets.startMetadataServer },
  listen: {
    wrong: { port: '80' },
    call: (options) => targets.listen(async () => ({}) as never, options),
  },
  digestInput: {
    wrong: { threads: 'two' },
    call: (options) => targets.digestInput(new Uint8Array(1), options),
  },
  createDigestMaker: { wrong: { threads: 'two' }, call: targets.createDigestMaker },
  writeVolumes: {
    valid: { volumeBytes: 64, folder: 'x' },
    wrong: { name: 1 },
    call: (options) => targets.writeVolumes(new Uint8Array(1), options),
  },
  uploadToTarget: {
    valid: { to: 'multipart:http://127.0.0.1:9' },
    wrong: signal,
    call: (options) => targets.uploadToTarget([], options),
  },
  cancelStoredTransfer: {
    valid: { journalFolder: 'x', id: 'x' },
    wrong: signal,
    call: targets.cancelStoredTransfer,
  },
  openXetTarget: {
    valid: { endpoint: 'http://127.0.0.1:9' },
    wrong: { workers: 'two' },
    call: targets.openXetTarget,
  },
  createMultipartTarget: {
    valid: { ...ports, url: 'http://127.0.0.1:9' },
    wrong: { dedup: 1 },
    call: targets.createMultipartTarget,
  },
  createCascadeTarget: {
    valid: {
      ...{ ...ports, url: 'http://127.0.0.1:9', pastelId: 'x', passphrase: 'x' },
      ...{ acceptCost: true, payBurn: async () => '' },
    },
    wrong: { safeName: 1 },
    call: targets.createCascadeTarget,
  },
  createStartrailTarget: {
    valid: { ...ports, url: 'http://127.0.0.1:9', apiKey: 'x', issuer: 'x' },
    wrong: { safeName: 1 },
    call: targets.createStartrailTarget,
  },
  createTargetWire: { wrong: { ca: 1 }, call: targets.createTargetWire },
};

/** What a call throws or rejects with. */
async function thrown(run: () => unknown): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  return null;
}

describe('options of public functions', () => {
  it.each(Object.entries(ROWS))('%s', async (name, { owner = name, valid = {}, wrong, call }) => {
    const run = (options: Options): Promise<unknown> => thrown(() => call(options as never));
    const unknown = await run({ ...valid, sgnal: 1 });
    expect(unknown).toBeInstanceOf(TypeError);
    expect((unknown as Error).message).toMatch(
      new RegExp(`^"sgnal" is no option of ${owner}, which takes \\w+`),
    );
    const [option = ''] = Object.keys(wrong);
    const mistyped = await run({ ...valid, ...wrong });
    expect(mistyped).toBeInstanceOf(TypeError);
    expect((mistyped as Error).message).toMatch(new RegExp(`^"${option}" expected .*, got `));
    const text = await run('text' as unknown as Options);
    expect((text as Error).message).toBe(`"options" of ${owner} expected an object, got "text"`);
  });
});
