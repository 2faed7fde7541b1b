import { open } from 'node:fs/promises';
import { createBlockMaker, createRandom } from './corpora.js';

/**
 * Two releases of a made-up package, each as one unpacked archive: members of 1 kB to 1 MB, three
 * of four text, the others numbers and noise. In the second release one member of eight is edited
 * (and only those), one of fifty is gone and one of thirty is followed by a new one, which is what
 * two releases of numpy a week apart look like.
 */

export interface ReleaseOptions {
  readonly sizeBytes: number;
  readonly seed: number;
  readonly release: 1 | 2;
}

const HEADER_BYTES = 512;
const MEMBER_MIN_BYTES = 1000;
/** Sizes are spread evenly over ten doublings: 1 kB to 1 MB. */
const MEMBER_OCTAVES = 10;
const KINDS = ['fp32', 'random', 'text'] as const;

/** Writes one release. `sizeBytes` is that of the first; the second comes out a little longer. */
export async function writeRelease(path: string, options: ReleaseOptions): Promise<void> {
  const { sizeBytes, seed, release } = options;
  const next = createRandom(seed);
  const file = await open(path, 'w');
  const write = async (name: string, member: Uint8Array): Promise<void> => {
    const header = Buffer.alloc(HEADER_BYTES);
    header.write(`${name} ${member.length}`);
    await file.write(header);
    await file.write(member);
  };
  try {
    for (let index = 0, at = 0; at < sizeBytes; index++) {
      // The same draws for both releases, so that they stay in step.
      // Only exact operations, so that every engine draws the same sizes.
      const spread = MEMBER_MIN_BYTES * 2 ** (next() % MEMBER_OCTAVES) * (1 + next() / 2 ** 32);
      const left = Math.max(MEMBER_MIN_BYTES, sizeBytes - at - HEADER_BYTES);
      const memberBytes = Math.floor(Math.min(spread, left));
      const kind = KINDS[next() % 4 === 0 ? next() % 2 : 2] ?? 'text';
      const fate = next();
      const memberSeed = next();
      at += HEADER_BYTES + memberBytes;
      const member = makeMember(kind, memberBytes, memberSeed);
      if (release === 2 && fate % 50 === 7) continue;
      if (release === 2 && fate % 8 === 3) edit(member, memberSeed);
      await write(`member-${index}`, member);
      if (release === 2 && fate % 30 === 11) {
        await write(`new-${index}`, makeMember(kind, memberBytes, memberSeed ^ 1));
      }
    }
  } finally {
    await file.close();
  }
}

function makeMember(kind: (typeof KINDS)[number], memberBytes: number, seed: number): Uint8Array {
  const padded = new Uint8Array(Math.ceil(memberBytes / 4) * 4);
  createBlockMaker(kind, seed)(padded);
  return padded.subarray(0, memberBytes);
}

/** A version string here and a changed line there. */
function edit(member: Uint8Array, seed: number): void {
  const next = createRandom(seed + 1);
  for (let i = 0; i < 3; i++) {
    const offset = next() % Math.max(1, member.length - 40);
    for (let j = 0; j < Math.min(40, member.length); j++) member[offset + j] = 97 + (next() % 26);
  }
}
