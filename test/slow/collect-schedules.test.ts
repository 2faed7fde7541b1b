import { describe, expect, it } from 'vitest';
import { loadKernels } from '../../src/compose/chunk.js';
import { collectGarbage } from '../../src/gateway/index.js';
import { createStoreIndex } from '../../src/gateway/store-index.js';
import { chunkHash } from '../../src/hash/index.js';
import { decodeShard } from '../../src/shard/index.js';
import type { BuiltXorb } from '../../src/xorb/index.js';
import { Scheduler } from '../flow/scheduler.js';
import {
  buildXorb,
  bytesOf,
  createRig,
  fileOf,
  listed,
  publish,
  putShard,
  putXorb,
  type Rig,
  randomChunks,
  uploadShard,
} from '../gateway/support/rig.js';
import {
  type HeldObjects,
  type HeldValues,
  memoryObjects,
  memoryValues,
  scheduledStore,
} from '../gateway/support/scheduled-store.js';

/** Index tables are hashed: of all the work here most is that. */
const { hasher } = await loadKernels();
const HOUR = 60 * 60 * 1000;
/** ORBWEAVER_SCHEDULES=1000 is what is run by hand for a change of the collector. */
const SCHEDULES = Number(process.env['ORBWEAVER_SCHEDULES'] ?? 200);
const xorbs = Array.from({ length: 5 }, (_, i) => buildXorb(randomChunks(i + 1, [300, 200, 100])));
const [A, B, C, D, E] = xorbs as [BuiltXorb, BuiltXorb, BuiltXorb, BuiltXorb, BuiltXorb];
const whole = (xorb: BuiltXorb) => fileOf([[xorb, 0, 3]]);

describe('the collector, in every order of what happens at the same time', () => {
  it(`loses nothing that was acknowledged or promised, over ${SCHEDULES} schedules`, async () => {
    const prepared = { now: await prepare(false), due: await prepare(true) };
    for (let seed = 0; seed < SCHEDULES; seed++) await runSchedule(seed, prepared);
  }, 120_000);
});

/** About as many calls of the store as a run makes here. */
const CALLS_OF_A_RUN = 80;

interface Known {
  /** Files that were taken out by somebody: they may be registered or not. */
  readonly removed: Set<BuiltXorb>;
  /** Files whose registration was acknowledged. */
  readonly files: Set<BuiltXorb>;
  /** Xorbs of which a client was told that they are stored. */
  readonly told: Set<BuiltXorb>;
}

async function runSchedule(
  seed: number,
  prepared: { readonly now: Prepared; readonly due: Prepared },
): Promise<void> {
  const world = new Scheduler(seed, { isHasty: true });
  const { clock } = world;
  const graceMs = seed % 3 === 0 ? 0 : HOUR;
  const from = graceMs === 0 ? prepared.now : prepared.due;
  await world.advance(from.nowMs);
  const values = memoryValues(new Map(from.values));
  const plain = { ...memoryObjects(new Map(from.objects), clock), values };
  // Clients come at any time of the run, not only at its start.
  const starts: { readonly call: number; readonly go: () => void }[] = [];
  let calls = 0;
  const startDue = (): void => {
    calls++;
    for (const { call, go } of starts) if (call <= calls) go();
  };
  const startAll = (): void => {
    calls = CALLS_OF_A_RUN;
    startDue();
  };
  const store = scheduledStore(plain, world, startDue);
  const rigs = [0, 1].map(() => createRig({ store, hasher, clock: clock as never }));
  const known: Known = { files: new Set(), told: new Set(), removed: new Set() };
  // Some collectors are killed at any call: none that they wait for is answered any more.
  const dies = seed % 7 === 3;
  let left = dies ? 1 + world.int(CALLS_OF_A_RUN) : Number.POSITIVE_INFINITY;
  const mortal = scheduledStore(
    plain,
    {
      op<T>(effect: () => T | Promise<T>) {
        if (left-- > 0) return world.op(effect);
        startAll();
        return new Promise<T>(() => undefined);
      },
    },
    startDue,
  );
  const run = collectGarbage(mortal, { hasher, clock, graceMs });
  const actors: Promise<unknown>[] = dies ? [] : [run];
  if (seed % 5 === 0) actors.push(collectGarbage(store, { hasher, clock, graceMs }));
  const collectorCount = actors.length;
  const clients = [upload, register, ask, look, grant, remove];
  for (let count = 2 + world.int(3); count > 0; count--) {
    const client = clients[world.int(clients.length)] as (typeof clients)[number];
    const xorb = [A, B, D, E][world.int(4)] as BuiltXorb;
    const rig = rigs[world.int(2)] as Rig;
    const call = world.int(CALLS_OF_A_RUN);
    const started = new Promise<void>((go) => starts.push({ call, go }));
    actors.push(started.then(() => client(rig, xorb, known)));
  }
  // Whoever has not come yet comes when it is over.
  if (!dies) void Promise.all(actors.slice(0, collectorCount)).then(startAll);
  await world.run(Promise.all(actors));
  const where = `seed ${seed}`;
  const there = async (xorb: BuiltXorb) => (await plain.head(`xorbs/${xorb.hash}`)) !== null;
  const isRegistered = async (xorb: BuiltXorb): Promise<boolean> =>
    (await createStoreIndex({ store: plain, hasher, clock }).find(whole(xorb).hash)) !== null;
  for (const xorb of known.files) {
    const registered = await isRegistered(xorb);
    if (!known.removed.has(xorb)) expect(registered, `${where}: a registered file`).toBe(true);
    if (!registered) continue;
    expect(await there(xorb), `${where}: a xorb of a registered file`).toBe(true);
  }
  if (graceMs > 0) {
    for (const xorb of known.told) expect(await there(xorb), `${where}: told`).toBe(true);
    if (seed % 4 !== 1 && !dies) return;
    // What was promised outlives other runs for as long as the grace.
    await world.advance(graceMs - 10_000);
    await collectGarbage(plain, { hasher, clock, graceMs });
    for (const xorb of known.told) expect(await there(xorb), `${where}: told, later`).toBe(true);
  }
  if (seed % 4 !== 1 && !dies) return;
  await world.advance(2 * HOUR);
  await collectGarbage(plain, { hasher, clock, graceMs: 0 });
  for (const xorb of xorbs) {
    const registered = await isRegistered(xorb);
    if (!registered) expect(await there(xorb), `${where}: garbage`).toBe(false);
    else if (known.files.has(xorb) || xorb === C) expect(await there(xorb), where).toBe(true);
  }
}

/** A store to begin with. */
interface Prepared {
  readonly nowMs: number;
  readonly objects: HeldObjects;
  readonly values: HeldValues;
}

/** A and B were registered and removed, C is registered, D never was; with `due`: condemned long ago. */
async function prepare(due: boolean): Promise<Prepared> {
  const world = new Scheduler(0);
  const { clock } = world;
  const objects: HeldObjects = new Map();
  const values: HeldValues = new Map();
  const store = { ...memoryObjects(objects, clock), values: memoryValues(values) };
  const rig = createRig({ store, hasher, clock: clock as never });
  for (const xorb of [A, B, C]) await publish(rig, [xorb], [whole(xorb)]);
  await putXorb(rig, D);
  await createStoreIndex({ store, hasher, clock }).remove([whole(A).hash, whole(B).hash]);
  await world.advance(2 * HOUR);
  if (due) await collectGarbage(store, { hasher, clock, graceMs: HOUR });
  if (due) await world.advance(HOUR);
  return { nowMs: clock.now(), objects, values };
}

type Client = (rig: Rig, xorb: BuiltXorb, known: Known) => Promise<void>;

/** The whole way, again when something was deleted on it. */
const upload: Client = async (rig, xorb, known) => {
  for (let attempt = 0; attempt < 8; attempt++) {
    const posted = await rig.send('POST', `/v1/xorbs/default/${xorb.hash}`, { body: xorb.bytes });
    await posted.text();
    if (posted.status !== 200) continue;
    const body = uploadShard({ files: [whole(xorb)], xorbs: [listed(xorb)] });
    const { status } = await putShard(rig, body);
    if (status !== 200) continue;
    known.files.add(xorb);
    return;
  }
};

/** Names what it knows to be there from long ago. */
const register: Client = async (rig, xorb, known) => {
  const { status } = await putShard(rig, uploadShard({ files: [whole(xorb)], xorbs: [] }));
  if (status === 200) known.files.add(xorb);
  else expect([400, 503]).toContain(status);
};

/** As `store rm` and `repo prune` do it, in another process. */
const remove: Client = async ({ store, clock }, xorb, known) => {
  // That of C is registered from the start.
  const [first, second] = xorb === A ? [A, C] : [xorb, xorb];
  for (const each of [first, second]) known.removed.add(each);
  await createStoreIndex({ store, hasher, clock }).remove(
    [first, second].map((each) => whole(each).hash),
  );
};

const ask: Client = async (rig, xorb, known) => {
  const first = chunkHash(hasher, randomChunks(xorbs.indexOf(xorb) + 1, [300])[0] as Uint8Array);
  const response = await rig.send('GET', `/v1/chunks/default/${first}`);
  if (response.status !== 200) return;
  for (const { hash } of decodeShard(await bytesOf(response)).xorbs) {
    known.told.add(xorbs.find((each) => each.hash.equals(hash)) as BuiltXorb);
  }
  await register(rig, xorb, known);
};

const look: Client = async (rig, xorb, known) => {
  const { status } = await rig.send('HEAD', `/v1/xorbs/default/${xorb.hash}`);
  if (status === 200) known.told.add(xorb);
};

const grant: Client = async (rig, xorb, known) => {
  const checksum = { algo: 'crc64nvme', value: '1' };
  const { status } = await rig.send('POST', `/v1/xorb-grants/default/${xorb.hash}`, {
    body: JSON.stringify({ length: xorb.bytes.length, checksum }),
  });
  if (status === 200) known.told.add(xorb);
};
