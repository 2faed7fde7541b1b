import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { EXIT } from '../errors.js';
import type { FolderEntry } from '../index.js';
import { defineCommand, type ParsedArgs, usage } from './command.js';
import type { CliContext, Command } from './context.js';
import { CLIENT, type ServerCommand, withServer } from './server-client.js';
import { nameText } from './text.js';

export const lsCommand: Command = defineCommand({
  usage: [
    'ls HASH --endpoint URL --token T [OPTIONS]',
    'ls hf://[datasets/]NAMESPACE/NAME[@REVISION][/PATH] [OPTIONS]',
  ],
  about: `Lists the folder of a manifest, as upload printed its hash: rights, size, time and path of each
entry. What is printed is right only when the exit code is 0.`,
  options: CLIENT,
  run: ls,
});

async function ls(args: ParsedArgs, context: CliContext): Promise<number> {
  const [hash, ...others] = args.positionals;
  if (hash === undefined || others.length > 0) throw usage('ls expected one HASH');
  if (hash.startsWith('hf://')) {
    const { listHub } = await import('./hub.js');
    return listHub(args, context);
  }
  const json = args.flag('json');
  return withServer(args, context, listing('ls', context), async ({ client }) => {
    const lines = async function* (): AsyncGenerator<string> {
      for await (const entry of client.listFolder(hash, { signal: context.signal })) {
        yield json ? JSON.stringify(listedEntry(entry)) : textOf(entry, context);
      }
    };
    await writeLines(context.stdout, lines());
    return EXIT.ok;
  });
}

/** A command that lists: standard output is for its lines alone. */
export function listing(command: string, { stderr }: CliContext): ServerCommand {
  return { command, label: 'listing', wireLabel: null, events: stderr };
}

/** Lines that are gathered before they are written. */
const GATHERED_CHARS = 64 * 1024;

/** Writes lines as they come, no faster than they are read. */
export async function writeLines(stream: Writable, lines: AsyncIterable<string>): Promise<void> {
  let text = '';
  const flush = async (): Promise<void> => {
    const isTaken = stream.write(text);
    text = '';
    if (!isTaken && !stream.destroyed) {
      await Promise.race([once(stream, 'drain'), once(stream, 'close')]).catch(() => {});
    }
  };
  for await (const line of lines) {
    text += `${line}\n`;
    if (text.length >= GATHERED_CHARS) await flush();
    // Nobody reads it any more; that is told elsewhere.
    if (stream.destroyed) return;
  }
  if (text !== '') await flush();
}

/** The contract of docs/cli.md: every field is there for every type. */
export function listedEntry(entry: FolderEntry): object {
  const { path, type, mtimeMs } = entry;
  const [sizeBytes, fileHash] = type === 'file' ? [entry.sizeBytes, entry.fileHash] : [0, null];
  const mode = type === 'symlink' ? null : entry.mode;
  const target = type === 'symlink' ? { target: entry.target } : {};
  return { path, type, sizeBytes, fileHash, mode, mtimeMs, ...target };
}

function textOf(entry: FolderEntry, { stdout }: CliContext): string {
  const size = entry.type === 'file' ? String(entry.sizeBytes) : '-';
  const time = new Date(entry.mtimeMs).toISOString().slice(0, 19).replace('T', ' ');
  const name = nameText(stdout, entry.path);
  const shown =
    entry.type === 'folder'
      ? `${name}/`
      : entry.type === 'symlink'
        ? `${name} -> ${nameText(stdout, entry.target)}`
        : name;
  return `${rightsOf(entry)} ${size.padStart(12)}  ${time}  ${shown}`;
}

/** As `ls -l` shows them. */
function rightsOf(entry: FolderEntry): string {
  if (entry.type === 'symlink') return 'lrwxrwxrwx';
  const bits = [...'rwxrwxrwx'].map((letter, i) => ((entry.mode >> (8 - i)) & 1 ? letter : '-'));
  return `${entry.type === 'folder' ? 'd' : '-'}${bits.join('')}`;
}
