import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/flow/index.js';
import { CLAIMS_PREFIX, createClaimTables } from '../../../src/gateway/hub/claim-tables.js';
import { type Claims, createClaims } from '../../../src/gateway/hub/claims.js';
import { createMemoryStore, type ObjectStore } from '../../../src/gateway/index.js';
import type { StoreIndex } from '../../../src/gateway/store-index.js';
import { MerkleHash } from '../../../src/hash/index.js';
import { loadKernels } from '../../../src/index.js';
import { SYSTEM_CLOCK } from '../../../src/platform/index.js';
import type { ShardFile } from '../../../src/shard/index.js';

const { hasher } = await loadKernels();
let nowMs = 1_700_000_000_000;
/** What comes later is newer. */
const clock: Clock = { ...SYSTEM_CLOCK, unixMs: () => ++nowMs };
const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
const fileOf = (text: string): MerkleHash => MerkleHash.parse(sha(`file ${text}`));
const shardFile = (text: string, sha256 = sha(text)): ShardFile => {
  const bytes = new Uint8Array(Buffer.from(sha256, 'hex'));
  return { hash: fileOf(text), terms: [], verification: [], sha256: bytes };
};

interface Opened {
  readonly claims: Claims;
  /** Merging that began behind what was asked for is over. */
  settle(): Promise<void>;
}

/** Claims of a gateway whose index has `names`, and whose files have the bytes of their names. */
function open(store: ObjectStore, names: readonly string[]): Opened {
  const texts = new Map(names.map((text) => [fileOf(text).toString(), text]));
  const works: Promise<unknown>[] = [];
  const index: Pick<StoreIndex, 'sizes'> = {
    sizes: async (hashes) =>
      new Map(hashes.flatMap((hash) => (texts.has(`${hash}`) ? [[`${hash}`, 7] as const] : []))),
  };
  const claims = createClaims({
    ...{ store, hasher, clock, index: index as StoreIndex },
    background: (work) => works.push(work),
    digestOf: async (file) => sha(texts.get(`${file}`) as string),
  });
  return { claims, settle: async () => void (await Promise.all(works.splice(0))) };
}

async function keys(store: ObjectStore): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list(CLAIMS_PREFIX)) found.push(key);
  return found;
}

describe('which file has which SHA-256', () => {
  const names = Array.from({ length: 400 }, (_, at) => `text ${at}`);

  it('is one object for all files that are registered together, and every gateway knows it at once', async () => {
    const store = createMemoryStore();
    const other = open(store, names);
    expect((await other.claims.findAll(names.map(sha))).size).toBe(0);
    const one = open(store, names);
    await one.claims.note(names.map((text) => shardFile(text)));
    expect(await keys(store)).toHaveLength(1);
    // Registered again, nothing is new.
    await one.claims.note(names.slice(5, 50).map((text) => shardFile(text)));
    expect(await keys(store)).toHaveLength(1);
    const found = await other.claims.findAll([...names.map(sha), sha('unknown')]);
    expect(found.size).toBe(names.length);
    const [first] = names as [string];
    expect(found.get(sha(first))).toEqual({ file: fileOf(first), sizeBytes: 7, proved: false });
    // Files that are not registered any more.
    const less = open(store, names.slice(0, 3));
    expect((await less.claims.findAll(names.map(sha))).size).toBe(3);
  });

  it('is decided by the bytes where two files are said to have it, and who was wrong is forgotten', async () => {
    const store = createMemoryStore();
    const { claims, settle } = open(store, ['true', 'lie', 'lie too']);
    await claims.note([shardFile('true'), shardFile('lie')]);
    await claims.note([shardFile('lie', sha('true'))]);
    const proved = { file: fileOf('true'), sizeBytes: 7, proved: true };
    expect(await claims.find(sha('true'))).toEqual(proved);
    // What was said of it besides is true.
    expect(await claims.find(sha('lie'))).toMatchObject({ file: fileOf('lie'), proved: false });
    const without = open(store, ['lie', 'lie too']);
    // A proof whose file is gone proves nothing, and the lie is not there to take its place.
    expect(await without.claims.find(sha('true'))).toBeNull();
    await claims.note([shardFile('lie too', sha('true'))]);
    await settle();
    expect(await claims.find(sha('true'))).toEqual(proved);
  });

  it('stays proved when tables are merged', async () => {
    const store = createMemoryStore();
    const some = names.slice(0, 20);
    const { claims, settle } = open(store, some);
    for (const text of some) {
      await claims.note([shardFile(text)]);
      await claims.prove(sha(text), fileOf(text));
      await claims.prove(sha(text), fileOf(text));
      await settle();
    }
    expect((await keys(store)).length).toBeLessThan(16);
    const found = await open(store, some).claims.findAll(some.map(sha));
    expect([...found.values()].filter(({ proved }) => proved)).toHaveLength(some.length);
  });

  it('is forgotten for the files that are named, and for no others', async () => {
    const store = createMemoryStore();
    const { claims } = open(store, ['a', 'b', 'c']);
    await claims.note(['a', 'b', 'c'].map((text) => shardFile(text)));
    await claims.prove(sha('b'), fileOf('b'));
    const going = new Map(['a', 'b'].map((text) => [sha(text), new Set([`${fileOf(text)}`])]));
    going.set(sha('c'), new Set([`${fileOf('a')}`]));
    await createClaimTables({ store, hasher, clock }).forget(going);
    const left = await claims.findAll(['a', 'b', 'c'].map(sha));
    expect([...left.keys()]).toEqual([sha('c')]);
  });

  it('is said again where it cannot be read', async () => {
    const store = createMemoryStore();
    await open(store, names).claims.note(names.map((text) => shardFile(text)));
    const [key] = (await keys(store)) as [string];
    const bytes = (await store.read(key)) as Uint8Array;
    await store.put(key, bytes.fill(1, 0, 200), { replace: true });
    const { claims } = open(store, names);
    const known = (await claims.findAll(names.map(sha))).size;
    expect(known).toBeGreaterThan(0);
    expect(known).toBeLessThan(names.length);
    await claims.note(names.map((text) => shardFile(text)));
    expect((await claims.findAll(names.map(sha))).size).toBe(names.length);
    // Damage keeps nobody from forgetting.
    const [first] = names as [string];
    const all = new Map(names.map((text) => [sha(text), new Set([`${fileOf(text)}`])]));
    all.delete(sha(first));
    await createClaimTables({ store, hasher, clock }).forget(all);
    expect([...(await open(store, names).claims.findAll(names.map(sha))).keys()]).toEqual([
      sha(first),
    ]);
  });
});
