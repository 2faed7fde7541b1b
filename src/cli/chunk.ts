import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import { chunkInput } from '../index.js';
import { readArgs, usage } from './args.js';
import { computeOptionsOf } from './compute.js';
import type { CliContext, Command } from './context.js';
import { COMMON_HELP, EXIT_CODES_HELP } from './exit-codes.js';
import { writeJson } from './output.js';

export const chunkCommand: Command = {
  help: `Usage: orbweaver chunk FILE [OPTIONS]

Prints offset, length and hash of each chunk, and the file hash. "-" reads standard input.

Options:
  --tier T              kernels: auto, simd, portable, readable
${COMMON_HELP}

${EXIT_CODES_HELP}
`,
  run: chunk,
};

async function chunk(argv: readonly string[], context: CliContext): Promise<number> {
  const args = readArgs(argv, { tier: { type: 'string' } });
  const [path, ...others] = args.positionals;
  if (path === undefined || others.length > 0) throw usage('chunk expected one FILE');
  const input = path === '-' ? { name: '-', data: context.stdin } : resolve(context.cwd, path);
  const { tier } = computeOptionsOf(args);
  const listing = await chunkInput(input, {
    signal: context.signal,
    ...(tier === undefined ? {} : { tier }),
  });
  if (args.flag('json')) writeJson(context.stdout, listing);
  else {
    const lines = listing.chunks.map((c) => `${c.hash}  ${c.offset}  ${c.length}\n`);
    // In slices: one string for millions of chunks would double the memory.
    for (let i = 0; i < lines.length; i += 4096) {
      context.stdout.write(lines.slice(i, i + 4096).join(''));
    }
    if (!args.flag('quiet')) {
      context.stderr.write(
        `${listing.fileHash}  ${path}  ${listing.sizeBytes} bytes, ${listing.chunks.length} chunks\n`,
      );
    }
  }
  return EXIT.ok;
}
