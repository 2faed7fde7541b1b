import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import { chunkInput } from '../index.js';
import { defineCommand, type ParsedArgs, TIER, usage } from './command.js';
import { computeOptionsOf } from './compute.js';
import type { CliContext, Command } from './context.js';
import { writeJson } from './output.js';
import { createProgressBar, totalBytesOf } from './progress.js';
import { pluralText, printable } from './text.js';

export const chunkCommand: Command = defineCommand({
  usage: ['chunk FILE [OPTIONS]'],
  about:
    'Prints offset, length and hash of each chunk, and the file hash. "-" reads standard input.',
  options: [TIER],
  run: chunk,
});

async function chunk(args: ParsedArgs, context: CliContext): Promise<number> {
  const [path, ...others] = args.positionals;
  if (path === undefined || others.length > 0) throw usage('chunk expected one FILE');
  const input = path === '-' ? { name: '-', data: context.stdin } : resolve(context.cwd, path);
  const { tier } = computeOptionsOf(args);
  const bar = createProgressBar(context, 'cutting', args.flag('json') || args.flag('quiet'));
  const totalBytes = await totalBytesOf([path], context);
  const listing = await chunkInput(input, {
    tier,
    signal: context.signal,
    onProgress: ({ readBytes }) => bar.update(readBytes, totalBytes),
  }).finally(() => bar.clear());
  if (args.flag('json')) writeJson(context.stdout, listing);
  else {
    const lines = listing.chunks.map((c) => `${c.hash}  ${c.offset}  ${c.length}\n`);
    // In slices: one string for millions of chunks would double the memory.
    for (let i = 0; i < lines.length; i += 4096) {
      context.stdout.write(lines.slice(i, i + 4096).join(''));
    }
    if (!args.flag('quiet')) {
      context.stderr.write(
        `${listing.fileHash}  ${printable(path)}  ${listing.sizeBytes} bytes, ${pluralText(listing.chunks.length, 'chunk')}\n`,
      );
    }
  }
  return EXIT.ok;
}
