import { hexEncode } from '../bytes/index.js';
import { HASH_BYTES, MerkleHash } from '../hash/index.js';
import { type ByteDigestName, LEAF_BYTES } from './byte-digests.js';
import type { DagBuilder } from './dag.js';
import type { ByteDigests, LeafHashes } from './digest-runner.js';
import type { DigestName, Digests } from './ports.js';

/** All names, in the order in which they are listed. */
export const DIGEST_NAMES: readonly DigestName[] = [
  'fileHash',
  'md5',
  'md5Ends',
  'sha256',
  'cidRaw',
  'cid256KiB174',
  'cid1MiB1024',
];

/** What has to be computed of the bytes for each. */
const BYTES_FOR: Readonly<Record<DigestName, ByteDigestName>> = {
  md5: 'md5',
  md5Ends: 'md5Ends',
  sha256: 'sha256',
  cidRaw: 'sha256',
  cid256KiB174: 'leaves256KiB',
  cid1MiB1024: 'leaves1MiB',
  fileHash: 'fileHash',
};

const LINKS: Readonly<Record<keyof LeafHashes, number>> = { leaves256KiB: 174, leaves1MiB: 1024 };

/** @throws RangeError for a name that does not exist */
export function byteDigestsFor(names: readonly DigestName[]): readonly ByteDigestName[] {
  return [
    ...new Set(
      names.map((name) => {
        if (!Object.hasOwn(BYTES_FOR, name)) {
          throw new RangeError(
            `"digests" expected ${DIGEST_NAMES.join(', ')}, got ${String(name)}`,
          );
        }
        return BYTES_FOR[name];
      }),
    ),
  ];
}

/** Makes texts of what was computed of the bytes. */
export interface DigestTexts {
  /** Hashes of the next leaves; the last leaf of a kind may be short. */
  leaves(hashes: LeafHashes): void;
  finish(digests: ByteDigests, sizeBytes: number): Digests;
}

/** The libraries for content identifiers are loaded when one is asked for. */
export async function createDigestTexts(names: readonly DigestName[]): Promise<DigestTexts> {
  const dag = names.some((name) => name.startsWith('cid')) ? await import('./dag.js') : null;
  const builders = new Map<
    keyof LeafHashes,
    { dag: DagBuilder; last: Uint8Array; count: number }
  >();
  for (const kind of ['leaves256KiB', 'leaves1MiB'] as const) {
    if (dag !== null && names.some((name) => BYTES_FOR[name] === kind)) {
      const builder = dag.createDagBuilder(LINKS[kind]);
      builders.set(kind, { dag: builder, last: new Uint8Array(0), count: 0 });
    }
  }
  /** The newest leaf waits: only the end of the file says how long it is. */
  const leaves = (hashes: LeafHashes): void => {
    for (const [kind, builder] of builders) {
      const taken = hashes[kind] ?? new Uint8Array(0);
      for (let at = 0; at < taken.length; at += HASH_BYTES) {
        if (builder.last.length > 0) builder.dag.push(builder.last, LEAF_BYTES[kind]);
        builder.last = taken.slice(at, at + HASH_BYTES);
        builder.count++;
      }
    }
  };
  return {
    leaves,
    finish(digests, sizeBytes) {
      const texts: Partial<Record<DigestName, string | null>> = {};
      for (const name of names) texts[name] = textOf(name, digests[BYTES_FOR[name]] ?? null);
      return texts;

      function textOf(name: DigestName, bytes: Uint8Array | null): string | null {
        const kind = BYTES_FOR[name];
        if (kind === 'leaves256KiB' || kind === 'leaves1MiB') {
          const builder = builders.get(kind);
          if (builder === undefined) return null;
          builder.dag.push(builder.last, sizeBytes - LEAF_BYTES[kind] * (builder.count - 1));
          return builder.dag.finish();
        }
        if (bytes === null) return null;
        if (name === 'cidRaw') return dag === null ? null : dag.rawCid(bytes);
        return name === 'fileHash' ? MerkleHash.from(bytes).toString() : hexEncode(bytes);
      }
    },
  };
}
