import { EXIT } from '../errors.js';
import type { FolderChange } from '../index.js';
import { defineCommand, type ParsedArgs, usage } from './command.js';
import type { CliContext, Command } from './context.js';
import { listedEntry, listing, writeLines } from './ls.js';
import { CLIENT, withServer } from './server-client.js';
import { nameText } from './text.js';

export const diffCommand: Command = defineCommand({
  usage: ['diff HASH HASH --endpoint URL --token T [OPTIONS]'],
  about: `Says what differs between the folders of two manifests, the older one first: "A" for what was
added, "D" for what was deleted, "M" for what was modified, and how. What is printed is right only when
the exit code is 0.`,
  options: [{ name: 'times', help: 'what only has another time is modified, too' }, ...CLIENT],
  run: diff,
});

const LETTERS: Readonly<Record<FolderChange['change'], string>> = {
  added: 'A',
  removed: 'D',
  modified: 'M',
};

const WORDS: Readonly<Record<FolderChange['fields'][number], string>> = {
  type: 'type',
  fileHash: 'content',
  target: 'target',
  mode: 'rights',
  mtimeMs: 'time',
};

async function diff(args: ParsedArgs, context: CliContext): Promise<number> {
  const [before, after, ...others] = args.positionals;
  if (before === undefined || after === undefined || others.length > 0) {
    throw usage('diff expected two hashes, the older one first');
  }
  const json = args.flag('json');
  return withServer(args, context, listing('diff', context), async ({ client }) => {
    const lines = async function* (): AsyncGenerator<string> {
      const options = { times: args.flag('times'), signal: context.signal };
      for await (const change of client.diffFolders(before, after, options)) {
        yield json ? JSON.stringify(jsonOf(change)) : textOf(change, context);
      }
    };
    await writeLines(context.stdout, lines());
    return EXIT.ok;
  });
}

/** The contract of docs/cli.md. */
function jsonOf({ path, change, fields, before, after }: FolderChange): object {
  return {
    path,
    change,
    fields,
    before: before === null ? null : listedEntry(before),
    after: after === null ? null : listedEntry(after),
  };
}

function textOf(
  { path, change, fields, before, after }: FolderChange,
  context: CliContext,
): string {
  const isFolder = (after ?? before)?.type === 'folder';
  const name = `${nameText(context.stdout, path)}${isFolder ? '/' : ''}`;
  const how = fields.length === 0 ? '' : `  (${fields.map((field) => WORDS[field]).join(', ')})`;
  return `${LETTERS[change]}  ${name}${how}`;
}
