import { stat } from 'node:fs/promises';
import { basename, isAbsolute, join, normalize, sep } from 'node:path';
import type { BaseOutcome, UploadSession } from '../client/index.js';
import { isOrbweaverError } from '../errors.js';
import { MerkleHash } from '../hash/index.js';
import type { UploadBase } from './client-types.js';
import { inputName, isNamed, toSource, type UploadInput } from './input.js';

/** The bases of an upload: previous versions of what it sends. */
export interface Bases {
  /** What became of each, in the order in which they were looked at. */
  readonly outcomes: readonly UploadBase[];
  /** Learns those that are for all inputs. */
  learnCommon(): Promise<void>;
  /** Learns those of one input, before it is read; null: it has none. */
  learnFor(input: UploadInput): Promise<void> | null;
}

/**
 * A file of a folder of bases is worth a question of its own from here on. What is smaller is found by
 * the questions about first chunks, many in one, or costs little to store again.
 */
const MIN_FOLDER_BASE_BYTES: number = 1024 * 1024;

/**
 * @param given hashes of 64 digits, paths of files, or paths of folders, in which each input looks for
 * the file at its own relative path, then for one of its own name
 */
export function createBases(
  session: Pick<UploadSession, 'addBase'>,
  given: string | readonly string[] = [],
): Bases {
  const outcomes: UploadBase[] = [];
  const folders: string[] = [];
  const tell = (name: string, { fileHash, knownChunks, readBytes, problem }: BaseOutcome): void => {
    const hash = fileHash?.toString() ?? null;
    outcomes.push({ base: name, fileHash: hash, knownChunks, readBytes, problem });
  };

  async function learn(name: string): Promise<void> {
    try {
      const base = isHash(name) ? MerkleHash.parse(name) : await toSource(name);
      tell(name, await session.addBase(base));
    } catch (error) {
      // A session that has ended says so again with the next file.
      if (!isOrbweaverError(error)) throw error;
      const problem = `${error.message}; the upload goes on without it`;
      tell(name, { name, fileHash: null, knownChunks: 0, readBytes: 0, problem });
    }
  }

  async function learnFromFolders(input: UploadInput): Promise<void> {
    const name = normalize(inputName(input));
    const isBelow = !isAbsolute(name) && name.split(sep)[0] !== '..';
    const names = isBelow ? [name, basename(name)] : [basename(name)];
    for (const folder of folders) {
      for (const path of names.map((each) => join(folder, each))) {
        const found = await stat(path).catch(() => null);
        if (found?.isFile() !== true) continue;
        if (found.size >= MIN_FOLDER_BASE_BYTES) await learn(path);
        break;
      }
    }
  }

  return {
    outcomes,
    async learnCommon() {
      for (const name of typeof given === 'string' ? [given] : given) {
        const found = isHash(name) ? null : await stat(name).catch(() => null);
        if (found?.isDirectory() === true) folders.push(name);
        else await learn(name);
      }
    },
    learnFor(input) {
      const own = isNamed(input) ? input.base : undefined;
      if (own !== undefined) return learn(own);
      return folders.length === 0 ? null : learnFromFolders(input);
    },
  };
}

function isHash(name: string): boolean {
  return /^[0-9a-f]{64}$/i.test(name);
}
