import { createHash } from 'node:crypto';

/** The command that a transfer is part of, as the list of unfinished ones gives it again. */
export interface TransferCommand {
  /** Absolute paths that it was given. */
  readonly paths: readonly string[];
  /** A list of paths that it was given besides; null: it was given none. */
  readonly list: PathList | null;
  /** Options of the command line. */
  readonly options: readonly string[];
  /** Which of the uploads that the command consists of. */
  readonly part: number;
  /** The repository that it is about. @default none: the store itself */
  readonly hub?: HubPlace | undefined;
}

/** A repository, as a command line names it. */
export type HubPlace = {
  /** Address of the Hub. */
  readonly url: string;
  /** `hf://…`; null: it was begun by a program, with more than a command line can say. */
  readonly address: string | null;
  /** Folder of the cache of the Python client that a download goes to. @default none */
  readonly cache?: string;
};

/** A list of paths, such as `--files-from` reads. */
export interface PathList {
  readonly count: number;
  /** What tells the same list again. */
  digest(): string;
  /** Ended by NUL each, as a path may hold anything else. */
  encode(): Uint8Array;
}

/** The digest of a list is made once: each part of an upload of many thousands of files asks for it. */
export function pathList(paths: readonly string[]): PathList {
  const encode = (): Uint8Array => ENCODER.encode(paths.map((path) => `${path}\0`).join(''));
  let known: string | null = null;
  return {
    count: paths.length,
    encode,
    digest() {
      known ??= createHash('sha256').update(encode()).digest('hex');
      return known;
    },
  };
}

const ENCODER = new TextEncoder();

/** Nobody else can name it: options of a client's methods are its users'. */
const COMMAND = Symbol('command');

/** Options of a transfer of a client, as part of a command that is more than this transfer. */
export function partOf<T extends object>(options: T, command: TransferCommand): T {
  return { ...options, [COMMAND]: command };
}

/** What these options are part of; undefined: nothing. */
export function commandOf(options: object): TransferCommand | undefined {
  return (options as { readonly [COMMAND]?: TransferCommand })[COMMAND];
}
