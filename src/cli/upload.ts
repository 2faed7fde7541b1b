import { basename } from 'node:path';
import { EXIT } from '../errors.js';
import type { PlacementName, UploadInput, UploadResult } from '../index.js';
import { COMPUTE_OPTIONS, readArgs, SERVER_OPTIONS, serverOf, usage } from './args.js';
import { computeOptionsOf, openClient } from './compute.js';
import type { CliContext, Command } from './context.js';
import { COMMON_HELP, COMPUTE_HELP, EXIT_CODES_HELP, SERVER_HELP } from './exit-codes.js';
import { reportFailure, writeJson } from './output.js';
import { createProgressBar } from './progress.js';
import { bytesText, percentText, rateText } from './text.js';
import { UPLOAD_TO_HELP, UPLOAD_TO_OPTIONS } from './upload-to-options.js';

export const uploadCommand: Command = {
  help: `Usage: orbweaver upload PATH... --endpoint URL --token T [OPTIONS]

Uploads files and prints the hash of each. All files of one call share one index: data
that two of them have in common is sent once. "-" reads standard input.

Options:
${SERVER_HELP}
  --sha256              also compute each file's SHA-256 and register it
  --expand              PATHs are ZIP archives: upload their entries as files
  --placement P         known chunks: balanced, store-least, read-fast, reference
  --shard-cache DIR     remember what was uploaded, to dedup against it without asking
${UPLOAD_TO_HELP}
${COMPUTE_HELP}
${COMMON_HELP}

${EXIT_CODES_HELP}
`,
  run: upload,
};

const PLACEMENTS: readonly PlacementName[] = ['balanced', 'store-least', 'read-fast', 'reference'];

async function upload(argv: readonly string[], context: CliContext): Promise<number> {
  const args = readArgs(argv, {
    ...SERVER_OPTIONS,
    ...COMPUTE_OPTIONS,
    sha256: { type: 'boolean' },
    expand: { type: 'boolean' },
    'shard-cache': { type: 'string' },
    placement: { type: 'string' },
    ...UPLOAD_TO_OPTIONS,
  });
  if (args.positionals.length === 0) throw usage('upload expected at least one PATH');
  if (args.positionals.filter((path) => path === '-').length > 1) {
    throw usage('standard input can be read once only');
  }
  if (args.text('to') !== undefined) {
    const { uploadTo } = await import('./upload-to.js');
    return uploadTo(args, context);
  }
  const { endpoint, token } = serverOf(args, context);
  const shardCacheDir = args.text('shard-cache');
  const placementText = args.text('placement');
  const placement = PLACEMENTS.find((name) => name === placementText);
  if (placementText !== undefined && placement === undefined) {
    throw usage(`--placement expected one of ${PLACEMENTS.join(', ')}, got "${placementText}"`);
  }
  const json = args.flag('json');
  const client = await openClient({
    endpoint,
    ...(token === undefined ? {} : { token }),
    ...(shardCacheDir === undefined ? {} : { shardCacheDir }),
    ...(placement === undefined ? {} : { placement }),
    ...computeOptionsOf(args),
  });
  const bar = createProgressBar(context, 'uploading', json || args.flag('quiet'));
  try {
    const inputs = args.positionals.map(
      (path): UploadInput => (path === '-' ? { name: '-', data: context.stdin } : path),
    );
    const result = await client.upload(inputs, {
      sha256: args.flag('sha256'),
      expand: args.flag('expand'),
      signal: context.signal,
      onProgress: (progress) =>
        bar.update(
          progress.readBytes,
          progress.totalBytes,
          `${bytesText(progress.sentBytes)} sent`,
        ),
    });
    bar.clear();
    if (json) writeJson(context.stdout, jsonOf(result));
    else print(result, context, args.flag('quiet'));
    for (const failed of result.failed) {
      if (!json) context.stderr.write(`orbweaver: ${failed.path}: ${failed.message}\n`);
    }
    if (result.failed.length === 0) return EXIT.ok;
    const [first] = result.failed;
    if (result.files.length === 0 && first !== undefined) {
      reportFailure(context.stderr, first, json);
      return first.exitCode;
    }
    return EXIT.partial;
  } finally {
    bar.clear();
    await client.close();
  }
}

/** The contract of docs/cli.md. */
export function jsonOf(result: UploadResult): object {
  return {
    type: 'result',
    files: result.files,
    xorbCount: result.xorbCount,
    xorbBytes: result.xorbBytes,
    shardBytes: result.shardBytes,
    wallMs: Math.round(result.wallMs),
    ...(result.failed.length === 0
      ? {}
      : { failed: result.failed.map(({ path, code, message }) => ({ path, code, message })) }),
  };
}

function print(result: UploadResult, context: CliContext, quiet: boolean): void {
  let sizeBytes = 0;
  let newBytes = 0;
  for (const file of result.files) {
    sizeBytes += file.sizeBytes;
    newBytes += file.newBytes;
    const sha256 = file.sha256 === null ? '' : `  sha256:${file.sha256}`;
    context.stdout.write(`${file.fileHash}  ${file.path}${sha256}\n`);
  }
  if (quiet) return;
  const what =
    result.files.length === 1
      ? basename(result.files[0]?.path ?? '')
      : `${result.files.length} files`;
  context.stderr.write(
    `${what}: ${bytesText(sizeBytes)}, ${bytesText(newBytes)} new (${percentText(newBytes, sizeBytes)}), ` +
      `sent ${bytesText(result.xorbBytes)} in ${result.xorbCount} xorbs, ${rateText(sizeBytes, result.wallMs)}\n`,
  );
}
