import { EXIT } from '../errors.js';
import { COMPUTE_OPTIONS, readArgs, SERVER_OPTIONS, usage } from './args.js';
import { computeOptionsOf, openClient } from './compute.js';
import type { CliContext, Command } from './context.js';
import { COMMON_HELP, COMPUTE_HELP, EXIT_CODES_HELP, SERVER_HELP } from './exit-codes.js';
import { writeJson } from './output.js';
import { createProgressBar } from './progress.js';
import { bytesText, countText, percentText, tableText } from './text.js';

export const estimateCommand: Command = {
  help: `Usage: orbweaver estimate PATH... [--endpoint URL --token T] [OPTIONS]

Cuts and hashes the files as an upload would and says what would be new: among the files
themselves and, with an endpoint, against that store. Nothing is written to the store.

Options:
${SERVER_HELP}
${COMPUTE_HELP}
${COMMON_HELP}

${EXIT_CODES_HELP}
`,
  run: estimate,
};

async function estimate(argv: readonly string[], context: CliContext): Promise<number> {
  const args = readArgs(argv, { ...SERVER_OPTIONS, ...COMPUTE_OPTIONS });
  if (args.positionals.length === 0) throw usage('estimate expected at least one PATH');
  const endpoint = args.text('endpoint') ?? context.env['ORBWEAVER_ENDPOINT'];
  const token = args.text('token') ?? context.env['ORBWEAVER_TOKEN'];
  const json = args.flag('json');
  const client = await openClient({
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(token === undefined ? {} : { token }),
    ...computeOptionsOf(args),
  });
  const bar = createProgressBar(context, 'estimating', json || args.flag('quiet'));
  try {
    const inputs = args.positionals.map((path) =>
      path === '-' ? { name: '-', data: context.stdin } : path,
    );
    const result = await client.upload(inputs, {
      dryRun: true,
      signal: context.signal,
      onProgress: (progress) => bar.update(progress.readBytes, progress.totalBytes),
    });
    bar.clear();
    const sum = (pick: (file: (typeof result.files)[number]) => number): number =>
      result.files.reduce((total, file) => total + pick(file), 0);
    const sizeBytes = sum((file) => file.sizeBytes);
    const newBytes = sum((file) => file.newBytes);
    if (json) {
      writeJson(context.stdout, {
        type: 'result',
        files: result.files,
        sizeBytes,
        newBytes,
        dedupedBytes: sizeBytes - newBytes,
        xorbBytes: result.xorbBytes,
        wallMs: Math.round(result.wallMs),
        ...(result.failed.length === 0
          ? {}
          : { failed: result.failed.map(({ path, code, message }) => ({ path, code, message })) }),
      });
    } else {
      const rows = result.files.map((file) => [
        file.path,
        bytesText(file.sizeBytes),
        countText(file.chunkCount),
        bytesText(file.newBytes),
        percentText(file.dedupedBytes, file.sizeBytes),
      ]);
      context.stdout.write(
        tableText([
          ['file', 'size', 'chunks', 'new', 'deduplicated'],
          ...rows,
          [
            'all',
            bytesText(sizeBytes),
            countText(sum((file) => file.chunkCount)),
            bytesText(newBytes),
            percentText(sizeBytes - newBytes, sizeBytes),
          ],
        ]),
      );
      context.stdout.write(`would send ${bytesText(result.xorbBytes)} of packed chunks\n`);
      for (const failed of result.failed) {
        context.stderr.write(`orbweaver: ${failed.path}: ${failed.message}\n`);
      }
    }
    if (result.failed.length === 0) return EXIT.ok;
    return result.files.length === 0 ? (result.failed[0]?.exitCode ?? EXIT.input) : EXIT.partial;
  } finally {
    bar.clear();
    await client.close();
  }
}
