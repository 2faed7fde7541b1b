import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import { MIN_VOLUME_BYTES, type VolumeFormat, writeVolumes } from '../targets.js';
import { readArgs, usage } from './args.js';
import { asUsage } from './compute.js';
import type { CliContext, Command } from './context.js';
import { COMMON_HELP, EXIT_CODES_HELP } from './exit-codes.js';
import { writeJson } from './output.js';
import { pluralText } from './text.js';

export const volumesCommand: Command = {
  help: `Usage: orbweaver volumes FILE --size BYTES -o DIR [OPTIONS]

Cuts a file into volumes: NAME.001, NAME.002, … which are the file when they are joined, or with
--format 7z a stored archive NAME.7z.001, … which 7-Zip opens as it lies there. NAME.volumes.json
lists sizes and SHA-256 digests. "-" reads standard input.

Options:
  --size BYTES          bytes of each volume, such as 100MiB
  -o, --output DIR      where they go; made if missing
  --format F            slices or 7z                         [slices]
  --name NAME           what they are named after            [the name of FILE]
${COMMON_HELP}

With --json: {"format","name","sizeBytes","sha256","volumeBytes","volumes":[{"name","sizeBytes","sha256"}]}.

${EXIT_CODES_HELP}
`,
  run: volumes,
};

const FORMATS: readonly VolumeFormat[] = ['slices', '7z'];

async function volumes(argv: readonly string[], context: CliContext): Promise<number> {
  const args = readArgs(argv, {
    size: { type: 'string' },
    output: { type: 'string', short: 'o' },
    format: { type: 'string' },
    name: { type: 'string' },
  });
  const [path, ...others] = args.positionals;
  if (path === undefined || others.length > 0) throw usage('volumes expected one FILE');
  const volumeBytes = args.bytes('size');
  const folder = args.text('output');
  if (volumeBytes === undefined) throw usage('volumes expected --size BYTES');
  if (volumeBytes < MIN_VOLUME_BYTES) {
    throw usage(`--size expected at least ${MIN_VOLUME_BYTES} bytes, got ${volumeBytes}`);
  }
  if (folder === undefined) throw usage('volumes expected -o DIR');
  const formatText = args.text('format') ?? 'slices';
  const format = FORMATS.find((name) => name === formatText);
  if (format === undefined) {
    throw usage(`--format expected one of ${FORMATS.join(', ')}, got "${formatText}"`);
  }
  const manifest = await asUsage(
    writeVolumes(path === '-' ? { name: '-', data: context.stdin } : resolve(context.cwd, path), {
      volumeBytes,
      folder: resolve(context.cwd, folder),
      format,
      name: args.text('name') ?? (path === '-' ? 'stdin' : undefined),
      signal: context.signal,
    }),
  );
  if (args.flag('json')) writeJson(context.stdout, manifest);
  else {
    for (const { name, sizeBytes, sha256 } of manifest.volumes) {
      context.stdout.write(`${sha256}  ${name}  ${sizeBytes}\n`);
    }
    if (!args.flag('quiet')) {
      context.stderr.write(`${manifest.name}: ${pluralText(manifest.volumes.length, 'volume')}\n`);
    }
  }
  return EXIT.ok;
}
