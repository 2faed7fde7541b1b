import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import type { ZipEntryRequest } from '../index.js';
import { COMPUTE_OPTIONS, readArgs, SERVER_OPTIONS, serverOf, usage } from './args.js';
import { computeOptionsOf, openClient } from './compute.js';
import type { CliContext, Command } from './context.js';
import { COMMON_HELP, COMPUTE_HELP, EXIT_CODES_HELP, SERVER_HELP } from './exit-codes.js';
import { writeJson } from './output.js';
import { createProgressBar } from './progress.js';
import { bytesText, rateText } from './text.js';

export const downloadCommand: Command = {
  help: `Usage: orbweaver download FILEHASH --endpoint URL --token T -o OUT [OPTIONS]
       orbweaver download --zip OUT.zip FILEHASH[=NAME]... --endpoint URL --token T

Rebuilds a file and checks its size and hash before the name OUT appears. With "-o -" the
bytes go to standard output and are checked at the end: only exit code 0 means that they are
right. A range carries no hashes: its lengths and formats are checked.

Options:
${SERVER_HELP}
  -o, --output OUT      the file to write, "-" for standard output
  --offset N            first byte of a range                [0]
  --length N            bytes of the range                   [to the end]
  --zip OUT.zip         stream several files into one ZIP archive
${COMPUTE_HELP}
${COMMON_HELP}
                        (on standard error when the data goes to standard output)

${EXIT_CODES_HELP}
`,
  run: download,
};

async function download(argv: readonly string[], context: CliContext): Promise<number> {
  const args = readArgs(argv, {
    ...SERVER_OPTIONS,
    ...COMPUTE_OPTIONS,
    output: { type: 'string', short: 'o' },
    offset: { type: 'string' },
    length: { type: 'string' },
    zip: { type: 'string' },
  });
  const zip = args.text('zip');
  const out = zip ?? args.text('output');
  const offset = args.bytes('offset');
  const length = args.bytes('length');
  if (out === undefined) throw usage('download expected -o OUT (or --zip OUT.zip)');
  if (args.positionals.length === 0) throw usage('download expected a FILEHASH');
  if (zip === undefined && args.positionals.length > 1) {
    throw usage('download expected one FILEHASH; --zip takes several');
  }
  if (zip !== undefined && (offset ?? length ?? args.text('output')) !== undefined) {
    throw usage('--zip cannot be combined with -o, --offset or --length');
  }
  const { endpoint, token } = serverOf(args, context);
  const json = args.flag('json');
  const toStdout = out === '-';
  const client = await openClient({
    endpoint,
    ...(token === undefined ? {} : { token }),
    ...computeOptionsOf(args),
  });
  const bar = createProgressBar(context, 'downloading', json || args.flag('quiet'));
  try {
    const to = toStdout ? context.stdout : resolve(context.cwd, out);
    const common = {
      to,
      signal: context.signal,
      onProgress: (progress: { writtenBytes: number; totalBytes: number | undefined }) =>
        bar.update(progress.writtenBytes, progress.totalBytes),
    };
    const result =
      zip === undefined
        ? await client.download(args.positionals[0] as string, {
            ...common,
            ...(offset === undefined ? {} : { offset }),
            ...(length === undefined ? {} : { length }),
          })
        : await client.downloadZip(args.positionals.map(zipEntryOf), common);
    bar.clear();
    const line = {
      type: 'result',
      path: out,
      sizeBytes: result.sizeBytes,
      fetchedBytes: result.fetchedBytes,
      requestCount: result.requestCount,
      wallMs: Math.round(result.wallMs),
    };
    if (json) writeJson(toStdout ? context.stderr : context.stdout, line);
    else if (!args.flag('quiet')) {
      context.stderr.write(
        `${out}: ${bytesText(result.sizeBytes)}, fetched ${bytesText(result.fetchedBytes)} in ` +
          `${result.requestCount} requests, ${rateText(result.sizeBytes, result.wallMs)}\n`,
      );
    }
    return EXIT.ok;
  } finally {
    bar.clear();
    await client.close();
  }
}

function zipEntryOf(text: string): ZipEntryRequest {
  const at = text.indexOf('=');
  return at < 0
    ? { hash: text, name: text }
    : { hash: text.slice(0, at), name: text.slice(at + 1) };
}
