import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import { digestInput } from '../targets.js';
import { defineCommand, type ParsedArgs, usage } from './command.js';
import type { CliContext, Command } from './context.js';
import { writeJson } from './output.js';
import { createProgressBar } from './progress.js';

export const digestCommand: Command = defineCommand({
  usage: ['digest FILE [OPTIONS]'],
  about: `Prints every digest of a file from one pass: the Xet file hash, MD5, MD5 of the first and last MiB
(above 1 GiB), SHA-256, and content identifiers of three profiles. "-" reads standard input.`,
  options: [{ name: 'threads', value: 'N', help: 'threads, 0 for none', fallback: '3' }],
  notes:
    'With --json: {"sizeBytes","fileHash","md5","md5Ends","sha256","cidRaw","cid256KiB174","cid1MiB1024"}.',
  run: digest,
});

async function digest(args: ParsedArgs, context: CliContext): Promise<number> {
  const [path, ...others] = args.positionals;
  if (path === undefined || others.length > 0) throw usage('digest expected one FILE');
  const input = path === '-' ? { name: '-', data: context.stdin } : resolve(context.cwd, path);
  const json = args.flag('json');
  const bar = createProgressBar(context, 'digesting', json || args.flag('quiet'));
  try {
    const { sizeBytes, ...digests } = await digestInput(input, {
      threads: args.count('threads'),
      signal: context.signal,
      onProgress: (readBytes, totalBytes) => bar.update(readBytes, totalBytes),
    });
    bar.clear();
    if (json) writeJson(context.stdout, { sizeBytes, ...digests });
    else {
      const rows = Object.entries({ sizeBytes: String(sizeBytes), ...digests });
      for (const [name, text] of rows) {
        if (text !== null) context.stdout.write(`${name.padEnd(13)}${text}\n`);
      }
    }
    return EXIT.ok;
  } finally {
    bar.clear();
  }
}
