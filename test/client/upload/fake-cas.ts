import { concatBytes } from '../../../src/bytes/index.js';
import type { CasClient } from '../../../src/client/ports.js';
import { OrbweaverError } from '../../../src/errors.js';
import { HASH_BYTES } from '../../../src/hash/index.js';
import type { Kernels } from '../../../src/kernels/index.js';
import { decodeShard, type ShardFile, verifyShard } from '../../../src/shard/index.js';
import { verifyXorb, XORB_MAX_BYTES, type XorbInfo, XorbReader } from '../../../src/xorb/index.js';
import { type StoredChunks, verifyFile } from '../../support/verify-file.js';

interface StoredXorb {
  readonly records: Uint8Array;
  readonly info: XorbInfo;
}

/** Faults and delays; all optional. */
export interface FakeCasBehaviour {
  /** Called before a xorb is taken; may wait or throw. */
  beforeXorb?: (count: number, signal: AbortSignal | undefined) => Promise<void> | void;
  beforeShard?: (count: number) => Promise<void> | void;
  query?: (hash: string, signal: AbortSignal | undefined) => Promise<Uint8Array | null>;
}

/**
 * A server in memory that is as strict as a server can be: every xorb is decoded and hashed, every
 * shard proved against the xorbs that are there, at the moment it arrives.
 */
export class FakeCas implements CasClient {
  readonly xorbs = new Map<string, StoredXorb>();
  readonly files = new Map<string, ShardFile>();
  readonly shards: Uint8Array[] = [];
  readonly behaviour: FakeCasBehaviour;
  xorbPuts = 0;
  shardPuts = 0;
  queries = 0;
  sentBytes = 0;
  active = 0;
  mostActive = 0;
  readonly #kernels: Kernels;
  readonly #decoded = new Map<string, Uint8Array>();

  constructor(kernels: Kernels, behaviour: FakeCasBehaviour = {}) {
    this.#kernels = kernels;
    this.behaviour = behaviour;
  }

  async queryDedup(
    chunk: Parameters<CasClient['queryDedup']>[0],
    signal?: AbortSignal,
  ): Promise<Uint8Array | null> {
    this.queries++;
    return (await this.behaviour.query?.(chunk.toString(), signal)) ?? null;
  }

  getReconstructions(): Promise<never> {
    throw new Error('not in these tests');
  }

  async getChunkHashes(): Promise<null> {
    return null;
  }

  async putXorb(
    hash: Parameters<CasClient['putXorb']>[0],
    body: Parameters<CasClient['putXorb']>[1],
    options: Parameters<CasClient['putXorb']>[2] = {},
  ): Promise<{ inserted: boolean }> {
    this.active++;
    this.mostActive = Math.max(this.mostActive, this.active);
    try {
      const number = this.xorbPuts++;
      await this.behaviour.beforeXorb?.(number, options.signal);
      if (options.signal?.aborted === true) throw new OrbweaverError('ABORTED', 'aborted');
      const records = concatBytes(body.pieces);
      if (records.length !== body.sizeBytes) throw new Error('sizeBytes is wrong');
      if (records.length > XORB_MAX_BYTES) throw new Error('too large');
      const { codec, hasher } = this.#kernels;
      const info = verifyXorb({ codec, hasher, footer: 'check' }, records, hash);
      if (info.recordsBytes !== records.length) throw new Error('bytes behind the records');
      const inserted = !this.xorbs.has(hash.toString());
      this.xorbs.set(hash.toString(), { records, info });
      this.sentBytes += records.length;
      options.onSent?.(records.length);
      return { inserted };
    } finally {
      this.active--;
    }
  }

  async putShard(shard: Uint8Array): Promise<{ registered: boolean }> {
    const number = this.shardPuts++;
    await this.behaviour.beforeShard?.(number);
    const decoded = decodeShard(shard);
    verifyShard(decoded);
    for (const { hash } of decoded.xorbs) {
      if (!this.xorbs.has(hash.toString())) throw rejected(`xorb ${hash} is not there`);
    }
    for (const file of decoded.files) {
      for (const { xorb } of file.terms) {
        if (!this.xorbs.has(xorb.toString())) throw rejected(`term names ${xorb}, not there`);
      }
      verifyFile(this.#kernels.hasher, file, (hash) => this.#chunkListOf(hash.toString()));
    }
    for (const file of decoded.files) this.files.set(file.hash.toString(), file);
    this.shards.push(shard.slice());
    return { registered: true };
  }

  #chunkListOf(xorb: string): StoredChunks | null {
    const info = this.xorbs.get(xorb)?.info;
    if (info === undefined) return null;
    const { chunkHashes, rawEnds } = info;
    const chunkLengths = rawEnds.map((end, i) => end - (i === 0 ? 0 : (rawEnds[i - 1] as number)));
    return { chunkHashes, chunkLengths };
  }

  /** The bytes of a registered file. */
  rebuild(fileHash: string): Uint8Array {
    const file = this.files.get(fileHash);
    if (file === undefined) throw new Error(`file ${fileHash} is not registered`);
    const parts: Uint8Array[] = [];
    for (const term of file.terms) {
      parts.push(this.#chunks(term.xorb.toString(), term.chunkStart, term.chunkEnd));
    }
    return concatBytes(parts);
  }

  #chunks(xorb: string, start: number, end: number): Uint8Array {
    const { info, records } = this.xorbs.get(xorb) as StoredXorb;
    let bytes = this.#decoded.get(xorb);
    if (bytes === undefined) {
      const { codec, hasher } = this.#kernels;
      bytes = new XorbReader({ codec, hasher }, info).decode(records, 0, info.rawEnds.length);
      this.#decoded.set(xorb, bytes);
    }
    return bytes.subarray(start === 0 ? 0 : info.rawEnds[start - 1], info.rawEnds[end - 1]);
  }

  /** Sum of the stored chunks, uncompressed. */
  get storedBytes(): number {
    let sum = 0;
    for (const { info } of this.xorbs.values()) sum += info.rawEnds.at(-1) ?? 0;
    return sum;
  }

  /** Every chunk hash stored, as text. */
  chunkTexts(): string[] {
    const texts: string[] = [];
    for (const { info } of this.xorbs.values()) {
      const { chunkHashes } = info;
      for (let i = 0; i < chunkHashes.length; i += HASH_BYTES) {
        texts.push(Buffer.from(chunkHashes.subarray(i, i + HASH_BYTES)).toString('hex'));
      }
    }
    return texts;
  }

  getReconstruction(): Promise<null> {
    throw new Error('not used by uploads');
  }
  readRanges(): never {
    throw new Error('not used by uploads');
  }
  async close(): Promise<void> {}
}

export function rejected(text: string): OrbweaverError {
  return new OrbweaverError('REJECTED', text);
}
