import { readFileSync } from 'node:fs';
import type { GeneratorSpec } from './generators.js';

/** Access to the known answers in `fixtures/` (`fixtures/README.md` says where they come from). */

const FIXTURES = new URL('../../fixtures/', import.meta.url);

/** One known answer. What `input` and `expected` hold depends on the group. */
export interface Vector {
  readonly group: string;
  readonly id: string;
  readonly description?: string;
  // biome-ignore lint/suspicious/noExplicitAny: each group has a shape of its own
  readonly input: any;
  // biome-ignore lint/suspicious/noExplicitAny: each group has a shape of its own
  readonly expected: any;
  readonly verified: boolean;
}

interface VectorFile {
  readonly generators: { readonly trigger_pattern: { readonly base: number[] } };
  readonly hash_dictionary: Readonly<Record<string, string>>;
  readonly vectors: readonly Vector[];
}

/** One file of a session of the native client. Its choices (terms, xorbs) are not repeated here. */
export interface NativeFile {
  readonly name: string;
  readonly spec: GeneratorSpec;
  readonly bytes: number;
  readonly sha256: string;
  readonly file_hash: string;
  readonly chunks: number;
  /** The whole list up to 200 chunks, else null. */
  readonly chunk_lengths: readonly number[] | null;
  /** SHA-256 of the lengths as u32 little-endian. */
  readonly chunk_lengths_sha256: string;
  /** SHA-256 of all raw chunk hashes in order. */
  readonly chunk_hashes_sha256: string;
  /** Xorb, unpacked bytes, first and end chunk. */
  readonly terms: readonly (readonly [string, number, number, number])[];
}

/** What the native client made of one set of files. */
export interface NativeSession {
  readonly id: string;
  readonly files: readonly NativeFile[];
  readonly xorbs: Readonly<
    Record<
      string,
      {
        readonly chunks: number;
        readonly raw_bytes: number;
        readonly serialized_bytes: number;
        readonly schemes: readonly number[];
      }
    >
  >;
  readonly shards: number;
  readonly shard_bytes: number;
}

/** Bytes of a file below `fixtures/`. */
export function readFixture(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(path, FIXTURES)));
}

/** A JSON file below `fixtures/`. */
export function readJsonFixture<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(path, FIXTURES), 'utf8')) as T;
}

let vectorFile: VectorFile | undefined;

function vectors(): VectorFile {
  vectorFile ??= readJsonFixture<VectorFile>('vectors.json');
  return vectorFile;
}

/** The verified vectors of a group; the unverified ones too when asked. */
export function vectorsOf(group: string, options: { unverified?: boolean } = {}): Vector[] {
  const found = vectors().vectors.filter((vector) => vector.group === group);
  if (found.length === 0) throw new Error(`no vectors of group ${group}`);
  return options.unverified === true ? found : found.filter((vector) => vector.verified);
}

/** One vector by group and id. */
export function vectorOf(group: string, id: string): Vector {
  const found = vectorsOf(group, { unverified: true }).find((vector) => vector.id === id);
  if (found === undefined) throw new Error(`no vector ${group}/${id}`);
  return found;
}

/** A hash string of the dictionary that `aggregated` inputs refer to, or the string itself. */
export function dictionaryHash(nameOrHash: string): string {
  return vectors().hash_dictionary[nameOrHash] ?? nameOrHash;
}

/** The recipe of a vector's `input` (which names its fields differently from `native.json`). */
export function specOf(input: Vector['input']): GeneratorSpec {
  switch (input.generator) {
    case 'splitmix64':
      return { kind: 'splitmix64', seed: input.seed, bytes: input.size };
    case 'constant':
      return { kind: 'constant', value: input.byte, bytes: input.size };
    case 'affine':
      return { kind: 'affine', a: input.a, b: input.b, bytes: input.size };
    case 'empty':
      return { kind: 'constant', value: 0, bytes: 0 };
    case 'trigger_pattern': {
      // The vectors' rule doubles the buffer; that is the unit repeated.
      const { base } = vectors().generators.trigger_pattern;
      const padding = Array.from({ length: input.padding as number }, () => 0);
      return { kind: 'repeat', unit: [...base, ...padding], bytes: input.size };
    }
    default:
      throw new Error(`unknown generator ${input.generator}`);
  }
}

/** The 20 sessions of the native client. */
export function nativeSessions(): NativeSession[] {
  return readJsonFixture<NativeSession[]>('native.json');
}

/** The session whose real bytes lie in `fixtures/native/`. */
export function nativeBytes(): NativeSession & { readonly stored_xorb: string } {
  const index = readJsonFixture<{
    upload: Omit<NativeSession, 'id'>;
    stored_xorb: string;
  }>('native/index.json');
  return { id: 'native-bytes', ...index.upload, stored_xorb: index.stored_xorb };
}
