import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import { MIN_VOLUME_BYTES, type VolumeFormat, writeVolumes } from '../targets.js';
import { defineCommand, type ParsedArgs, usage } from './command.js';
import { asUsage } from './compute.js';
import type { CliContext, Command } from './context.js';
import { writeJson } from './output.js';
import { pluralText } from './text.js';

const FORMATS: readonly VolumeFormat[] = ['slices', '7z'];

export const volumesCommand: Command = defineCommand({
  usage: ['volumes FILE --size BYTES -o DIR [OPTIONS]'],
  about: `Cuts a file into volumes: NAME.001, NAME.002, … which are the file when they are joined, or with
--format 7z a stored archive NAME.7z.001, … which 7-Zip opens as it lies there. NAME.volumes.json
lists sizes and SHA-256 digests. "-" reads standard input.`,
  options: [
    { name: 'size', value: 'BYTES', help: 'bytes of each volume, such as 100MiB' },
    { name: 'output', short: 'o', value: 'DIR', help: 'where they go; made if missing' },
    { name: 'format', value: 'F', help: 'slices or 7z', fallback: 'slices', choices: FORMATS },
    {
      name: 'name',
      value: 'NAME',
      help: 'what they are named after',
      fallback: 'the name of FILE',
    },
  ],
  notes:
    'With --json: {"format","name","sizeBytes","sha256","volumeBytes","volumes":[{"name","sizeBytes","sha256"}]}.',
  run: volumes,
});

async function volumes(args: ParsedArgs, context: CliContext): Promise<number> {
  const [path, ...others] = args.positionals;
  if (path === undefined || others.length > 0) throw usage('volumes expected one FILE');
  const volumeBytes = args.bytes('size');
  const folder = args.text('output');
  if (volumeBytes === undefined) throw usage('volumes expected --size BYTES');
  if (volumeBytes < MIN_VOLUME_BYTES) {
    throw usage(`--size expected at least ${MIN_VOLUME_BYTES} bytes, got ${volumeBytes}`);
  }
  if (folder === undefined) throw usage('volumes expected -o DIR');
  const format = args.text('format') as VolumeFormat | undefined;
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
