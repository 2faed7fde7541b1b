import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import { digestInput } from '../targets.js';
import { readArgs, usage } from './args.js';
import type { CliContext, Command } from './context.js';
import { COMMON_HELP, EXIT_CODES_HELP } from './exit-codes.js';
import { writeJson } from './output.js';
import { createProgressBar } from './progress.js';

export const digestCommand: Command = {
  help: `Usage: orbweaver digest FILE [OPTIONS]

Prints every digest of a file from one pass: the Xet file hash, MD5, MD5 of the first and last MiB
(above 1 GiB), SHA-256, and content identifiers of three profiles. "-" reads standard input.

Options:
  --threads N           threads, 0 for none                  [3]
${COMMON_HELP}

With --json: {"sizeBytes","fileHash","md5","md5Ends","sha256","cidRaw","cid256KiB174","cid1MiB1024"}.

${EXIT_CODES_HELP}
`,
  run: digest,
};

async function digest(argv: readonly string[], context: CliContext): Promise<number> {
  const args = readArgs(argv, { threads: { type: 'string' } });
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
