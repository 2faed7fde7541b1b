import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeShard } from '../../src/shard/index.js';
import { generate } from '../support/generators.js';
import { download } from './support/reader.js';
import { createRig, keysOf, NATIVE_XORB, nativeBytes, putShard } from './support/rig.js';

/** The bytes that hf_xet 1.8.0 sent and stored for one session (fixtures/native/). */

const index = JSON.parse(
  readFileSync(new URL('../../fixtures/native/index.json', import.meta.url), 'utf8'),
);

describe('bytes of the native client', () => {
  it('are accepted, and every file is rebuilt from them', async () => {
    const rig = createRig();
    const xorb = await rig.send('POST', `/v1/xorbs/default/${NATIVE_XORB}`, {
      body: nativeBytes('upload.xorb'),
    });
    expect(await xorb.json()).toEqual({ was_inserted: true });
    const shard = await putShard(rig, nativeBytes('upload.shard'));
    expect(await shard.json()).toMatchObject({ result: 1 });
    for (const file of index.upload.files) {
      const rebuilt = await download(rig, file.file_hash);
      expect(Buffer.from(rebuilt).equals(Buffer.from(generate(file.spec))), file.name).toBe(true);
    }
  });

  it('are stored with the footer that the native server writes, nonce aside', async () => {
    const rig = createRig();
    await rig.send('POST', `/v1/xorbs/default/${NATIVE_XORB}`, {
      body: nativeBytes('upload.xorb'),
    });
    const ours = (await rig.store.read(`xorbs/${NATIVE_XORB}`)) as Uint8Array;
    const theirs = nativeBytes('stored.xorb');
    const nonceAt = theirs.length - 4 - 16;
    theirs.fill(0, nonceAt, nonceAt + 4);
    expect(Buffer.from(ours).equals(Buffer.from(theirs))).toBe(true);
  });

  it('give the stored shard of the native server, byte for byte', async () => {
    const rig = createRig();
    await rig.send('POST', `/v1/xorbs/default/${NATIVE_XORB}`, {
      body: nativeBytes('upload.xorb'),
    });
    await putShard(rig, nativeBytes('upload.shard'));
    const [key] = await keysOf(rig.store, 'shards/');
    const ours = (await rig.store.read(key as string)) as Uint8Array;
    expect(decodeShard(ours)).toEqual(decodeShard(nativeBytes('stored.shard')));
    expect(Buffer.from(ours).equals(Buffer.from(nativeBytes('stored.shard')))).toBe(true);
  });
});
