import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { JournalEntry } from '../client/ports.js';
import { isPath, pathOf } from '../io/index.js';
import { inputName, isNamed, type UploadInput } from './input.js';
import { editBegin, uploadBegin } from './transfer-begin.js';
import type { TransferCommand } from './transfer-command.js';

/** What makes a transfer the same transfer, and how its journal begins. */
export interface ResumeFacts {
  /** 32 digits that another run of the same transfer has, too. Takes a moment for many paths. */
  key(): string;
  /** The first entry of the journal. */
  begin(): JournalEntry;
  /** A list of paths that belongs to it, as `upload --files-from` takes it; undefined: none does. */
  list?(): Uint8Array;
}

interface UploadFacts {
  readonly endpoint: string;
  readonly inputs: readonly UploadInput[];
  /** Options of the command that began it. */
  readonly options: readonly string[];
  /** Bytes of all inputs; null: not known yet. */
  readonly sizeBytes: () => number | null;
}

/** What of its options an upload needs again, as the command line has it. */
export function optionsAgain({
  maxXorbBytes,
  base = [],
}: {
  readonly maxXorbBytes?: number | undefined;
  readonly base?: string | readonly string[] | undefined;
}): readonly string[] {
  const bases = typeof base === 'string' ? [base] : base;
  return [
    ...(maxXorbBytes === undefined ? [] : [`--max-xorb-bytes=${maxXorbBytes}`]),
    ...bases.map((each) => `--base=${/^[0-9a-f]{64}$/i.test(each) ? each : resolve(each)}`),
  ];
}

/** An upload of these inputs. */
export function uploadFacts({ endpoint, inputs, options, sizeBytes }: UploadFacts): ResumeFacts {
  // Thousands of paths take a while, and are needed for nothing before an earlier run or an acknowledgement.
  let known: readonly string[] | null = null;
  const pathsOf = (): readonly string[] => {
    known ??= inputs.map(pathText);
    return known;
  };
  const key = keptKey([endpoint, options.includes('--expand')], pathsOf);
  return {
    key,
    begin() {
      const paths = pathsOf();
      const facts = { endpoint, key: key(), paths, pathCount: paths.length, options };
      return uploadBegin({ ...facts, sizeBytes: sizeBytes() });
    },
  };
}

/**
 * A part of an upload of folders, or to a repository: the same paths tell it again, whatever is in them by then.
 * `more`: options of the command that do not make it another upload.
 */
export function folderFacts(
  endpoint: string,
  { part, paths, options, list, hub }: TransferCommand,
  more: readonly string[],
  sizeBytes: () => number | null,
): ResumeFacts {
  const what = hub === undefined ? ['folder'] : ['hub', hub.url, hub.address];
  const key = keptKey([endpoint, ...what, part], () => [
    ...paths,
    '',
    ...options,
    // Another list is another upload.
    ...(list === null ? [] : ['', list.digest()]),
  ]);
  return {
    key,
    begin: () => {
      const all = [...options, ...more];
      const facts = { endpoint, key: key(), paths, pathCount: paths.length, options: all };
      const listed = list === null ? {} : { listedCount: list.count };
      const place = hub === undefined ? {} : { hub };
      return uploadBegin({ ...facts, ...listed, ...place, sizeBytes: sizeBytes() });
    },
    ...(list === null ? {} : { list: () => list.encode() }),
  };
}

/** An edit of a stored file. */
export function editFacts(facts: {
  readonly endpoint: string;
  readonly fileHash: string;
  readonly splices: readonly {
    readonly offset: number | 'end';
    readonly deleteBytes?: number | undefined;
    readonly insert?: UploadInput | undefined;
  }[];
  /** Options of the command that began it. */
  readonly options: readonly string[];
}): ResumeFacts {
  const { endpoint, fileHash, splices, options } = facts;
  const texts = splices.map(({ offset, deleteBytes = 0, insert }) => {
    const file = insert === undefined ? '' : pathText(insert);
    return `${offset}:${deleteBytes}:${file}`;
  });
  const key = keptKey([endpoint, 'edit', fileHash], () => texts);
  return {
    key,
    begin: () => editBegin({ endpoint, key: key(), fileHash, splices: texts, options }),
  };
}

/** Made when something depends on it, and once. */
function keptKey(head: readonly unknown[], texts: () => readonly string[]): () => string {
  let known: string | null = null;
  return () => {
    if (known !== null) return known;
    const hash = createHash('sha256');
    hash.update(JSON.stringify(head));
    for (const text of texts()) hash.update(`${JSON.stringify(text)}\n`);
    known = hash.digest('hex').slice(0, 32);
    return known;
  };
}

/** An absolute path, or the name of what has none. */
function pathText(input: UploadInput): string {
  const data = isNamed(input) ? input.data : input;
  return isPath(data) ? resolve(pathOf(data)) : inputName(input);
}
