import { describe, expect, it } from 'vitest';
import { bytesBody, piecesBody } from '../../src/http/index.js';
import { pageBody } from '../../src/transport/wires/page-body.js';
import { generate } from '../support/generators.js';

const content = generate({ kind: 'splitmix64', seed: 2, bytes: 7_000_000 });

/** Neighbours and others, at all places within a word. */
function views(): Uint8Array[] {
  const lengths = [1, 300_001, 2_500_000, 7, 70_000, 1_200_000, 8, 900_003, 1_000_000];
  const found: Uint8Array[] = [];
  let at = 0;
  for (const [i, length] of lengths.entries()) {
    const bytes = content.subarray(at, at + length);
    if (i % 3 === 0) found.push(bytes);
    else {
      const apart = new Uint8Array(new SharedArrayBuffer(length + 8), i % 8, length);
      apart.set(bytes);
      found.push(apart);
    }
    at += length;
  }
  found.push(content.subarray(at));
  return found;
}

async function sent(body: Uint8Array<ArrayBuffer> | Blob): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  return Buffer.from(await body.arrayBuffer());
}

describe('a body that a page sends', () => {
  it('is the same, of views at whatever places within a word', async () => {
    const body = await pageBody(bytesBody(views()));
    expect(body).toBeInstanceOf(Blob);
    expect((await sent(body)).equals(content)).toBe(true);
  });

  it('is the same when it does not lie in memory', async () => {
    async function* pieces() {
      for (const view of views()) yield view;
    }
    const body = await pageBody(piecesBody(pieces(), content.length));
    expect((await sent(body)).equals(content)).toBe(true);
  });

  it('that ends early is an error', async () => {
    const short = { ...bytesBody(content), sizeBytes: content.length + 1 };
    await expect(pageBody(short)).rejects.toThrow('ended early');
  });
});
