import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import type { ClientSplice, EditResult } from '../index.js';
import { defineCommand, type ParsedArgs, parseBytes, usage } from './command.js';
import type { CliContext, Command } from './context.js';
import { writeJson } from './output.js';
import { uploadState } from './reporter.js';
import { CLIENT, withServer } from './server-client.js';
import { serverSettingsOf } from './settings.js';
import { STATE } from './state.js';
import { bytesText } from './text.js';
import { MAX_XORB_BYTES, maxXorbBytesOf } from './upload-options.js';

export const editCommand: Command = defineCommand({
  usage: ['edit FILEHASH --splice OFFSET:DELETE:FILE... --endpoint URL --token T [OPTIONS]'],
  about: `Changes a stored file and prints the hash of what it became; the old one stays. Only bytes
around the changes are read, and only new chunks are sent.`,
  options: [
    {
      name: 'splice',
      value: 'OFFSET:DELETE:FILE',
      help: 'at byte OFFSET ("end": behind the last) of the stored file, DELETE bytes go and those of FILE come; no FILE: nothing comes, "-": standard input. May be given several times, all offsets are those of the stored file',
      isRepeatable: true,
    },
    ...STATE,
    MAX_XORB_BYTES,
    ...CLIENT,
  ],
  run: async (args, context) => {
    const [hash, ...others] = args.positionals;
    if (hash === undefined || others.length > 0) throw usage('edit expected one FILEHASH');
    const texts = args.texts('splice');
    if (texts.length === 0) throw usage('say what changes: --splice OFFSET:DELETE:FILE');
    return edit(args, context, { hash, splices: texts.map((text) => spliceOf(text, context)) });
  },
});

export const appendCommand: Command = defineCommand({
  usage: ['append FILEHASH FILE --endpoint URL --token T [OPTIONS]'],
  about: `Adds the bytes of FILE ("-": standard input) to the end of a stored file, and prints the hash of
what it became: "edit" with --splice end:0:FILE.`,
  options: [...STATE, MAX_XORB_BYTES, ...CLIENT],
  run: async (args, context) => {
    const [hash, file, ...others] = args.positionals;
    if (hash === undefined || file === undefined || others.length > 0) {
      throw usage('append expected a FILEHASH and one FILE');
    }
    return edit(args, context, { hash, splices: [spliceOf(`end:0:${file}`, context)] });
  },
});

/** @throws OrbweaverError USAGE */
function spliceOf(text: string, context: CliContext): ClientSplice {
  const match = /^([^:]*):([^:]*)(?::(.*))?$/s.exec(text);
  if (match === null) throw usage(`--splice expected OFFSET:DELETE:FILE, got "${text}"`);
  const [, offset = '', deleted = '', file = ''] = match;
  return {
    offset: offset === 'end' ? 'end' : parseBytes('splice', offset),
    deleteBytes: deleted === '' ? 0 : parseBytes('splice', deleted),
    ...(file === '' ? {} : { insert: inputOf(file, context) }),
  };
}

function inputOf(file: string, { stdin, cwd }: CliContext): NonNullable<ClientSplice['insert']> {
  return file === '-' ? { name: '-', data: stdin } : resolve(cwd, file);
}

async function edit(
  args: ParsedArgs,
  context: CliContext,
  { hash, splices }: { readonly hash: string; readonly splices: readonly ClientSplice[] },
): Promise<number> {
  const settings = await serverSettingsOf(args, context);
  const maxXorbBytes = maxXorbBytesOf(settings.args);
  const names = { command: 'edit', label: 'editing', wireLabel: 'sent' };
  const command = { ...names, settings, remembers: true };
  return withServer(args, context, command, async ({ client, reporter }) => {
    const result = await client.edit(hash, splices, {
      maxXorbBytes,
      signal: context.signal,
      onProgress: (progress) => reporter.update(uploadState(progress)),
    });
    reporter.clear();
    if (result.wasReadBack) {
      reporter.warn('the server does not tell the hashes of chunks: the whole file was read back');
    }
    print(result, args, context);
    return EXIT.ok;
  });
}

function print(
  { fileHash, sizeBytes, readBytes, sentBytes }: EditResult,
  args: ParsedArgs,
  { stdout, stderr }: CliContext,
): void {
  if (args.flag('json')) {
    writeJson(stdout, { type: 'result', fileHash, sizeBytes, readBytes, sentBytes });
    return;
  }
  stdout.write(`${fileHash}\n`);
  if (args.flag('quiet')) return;
  stderr.write(
    `${bytesText(sizeBytes)}, read ${bytesText(readBytes)}, sent ${bytesText(sentBytes)}\n`,
  );
}
