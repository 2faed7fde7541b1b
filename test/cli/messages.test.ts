import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { COMMON } from '../../src/cli/command.js';
import { type Destinations, DOWNLOADS, UPLOADS } from '../../src/cli/destinations.js';
import { downloadCommand } from '../../src/cli/download.js';
import { nearest, sayingOf } from '../../src/cli/messages.js';
import { uploadCommand } from '../../src/cli/upload.js';
import { generate } from '../support/generators.js';
import { contextOf } from './context.js';
import { inProcess } from './in-process.js';
import { type Served, serve } from './run-binary.js';
import { runCli } from './run-cli.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/** Words of a command line; names after an @ stand for what is made below. */
type Row = readonly [line: string, status: number, message: string | RegExp, hint: string | RegExp];

const SERVER = '--endpoint @URL --token @TOKEN';
const HELP = 'See orbweaver upload --help.';
const DOWNLOAD_HELP = 'See orbweaver download --help.';
const PATH = 'Check the path.';

const ROWS: readonly Row[] = [
  ['uplod x', 2, 'there is no command "uplod"; did you mean upload?', 'See orbweaver --help.'],
  ['help nothing', 2, 'there is no command "nothing"', 'See orbweaver --help.'],
  ['--verion', 2, /before the option --verion; did you mean --version\?/, 'See orbweaver --help.'],
  ['completion', 2, 'completion expected one of bash, zsh, fish, got none', /completion --help/],
  ['target-server', 2, /expected one of multipart, .*, got none$/, /target-server --help/],
  [
    'upload @FILE --to cascade:http://127.0.0.1:1 --accept-cost --token words',
    2,
    '--set pastelId=VALUE expected 86 letters and digits, got none',
    HELP,
  ],
  [
    'upload @FILE --to cascade:http://127.0.0.1:1 --token words --set pastelId=@PASTEL',
    7,
    /^--accept-cost was expected: an upload to Cascade spends coins/,
    /Add --accept-cost/,
  ],
  [
    'upload @FILE --to startrail:http://127.0.0.1:1 --token key --set issuer=0x12',
    2,
    '--set issuer=VALUE expected 0x and 40 hex digits, got "0x12"',
    HELP,
  ],
  [
    'upload @FILE --to multipart:http://127.0.0.1:1 --set dedup=no',
    2,
    '--set dedup=VALUE expected true or false, got "no"',
    HELP,
  ],
  [
    'upload @FILE --to multipart:http://127.0.0.1:1 --set parallelParts=two',
    2,
    '--set parallelParts=VALUE expected a number, got "two"',
    HELP,
  ],
  ['upload', 2, 'upload expected at least one PATH', HELP],
  ['upload @FILE', 2, 'no endpoint: pass --endpoint URL or set ORBWEAVER_ENDPOINT', HELP],
  ['upload @FILE --endpoint 127.0.0.1:80', 2, /did you mean http:\/\/127.0.0.1:80\?/, HELP],
  ['upload @FILE --endpoint localhost:80', 2, /did you mean http:\/\/localhost:80\?$/, HELP],
  ['upload @FILE --endpoint me:pass@host', 2, /^the endpoint expected .*got "\*\*\*@host"$/, HELP],
  ['upload @FILE --endpoint ftp://x', 2, /expected a URL such as https:.*got "ftp:\/\/x"/, HELP],
  [`upload @FILE --shasum ${SERVER}`, 2, /^there is no option --shasum/, HELP],
  [
    `upload @FILE --sha265 ${SERVER}`,
    2,
    'there is no option --sha265; did you mean --sha256?',
    HELP,
  ],
  ['upload @FILE --token', 2, '--token expected a value', HELP],
  [`upload @FILE --json=lines ${SERVER}`, 2, /^--json expected no value, or "stream"/, HELP],
  [`upload @FILE --quiet=yes ${SERVER}`, 2, '--quiet expected no value', HELP],
  [
    `upload @FILE --workers many ${SERVER}`,
    2,
    '--workers expected a whole number, got "many"',
    HELP,
  ],
  [`upload @FILE --workers 999 ${SERVER}`, 2, /^--workers expected an integer from 0 to 256/, HELP],
  [`upload @FILE --max-memory 1MiB ${SERVER}`, 2, /^--max-memory expected an integer of at/, HELP],
  [`upload @FILE --max-memory lots ${SERVER}`, 2, /expected bytes such as 96MiB, got "lots"/, HELP],
  [`upload @FILE --placement best ${SERVER}`, 2, /expected one of balanced, .*got "best"/, HELP],
  [
    `upload @FILE --no-cache --cache-dir x ${SERVER}`,
    2,
    /cannot be combined with --cache-dir/,
    HELP,
  ],
  [`upload - - ${SERVER}`, 2, 'standard input can be read once only', HELP],
  [
    `upload @NONE ${SERVER}`,
    3,
    '"@NONE" expected a readable input, got no such file or folder',
    PATH,
  ],
  [`upload @FOLDER --expand ${SERVER}`, 2, '--expand is for files, not for folders', HELP],
  [
    'upload @FILE --endpoint @URL --token wrong',
    4,
    /refused POST .* with status 401: the bearer (token|\*{3}) is not known/i,
    /--token T, or in ORBWEAVER_TOKEN/,
  ],
  [
    'upload @FILE --endpoint @URL --token @READER',
    4,
    /status 403: the token has scope read, this needs append or write or admin/,
    /token with the needed scope/,
  ],
  [
    'download @HASH -o @OUT --endpoint http://127.0.0.1:1',
    7,
    /no response from 127.0.0.1:1 to .*: no server listens there$/,
    /Check the endpoint/,
  ],
  ['download', 2, 'say which file: download FILEHASH -o OUT', DOWNLOAD_HELP],
  [
    `download @HASH ${SERVER}`,
    2,
    'say where the file goes: -o OUT, or -o - for standard output',
    DOWNLOAD_HELP,
  ],
  [
    `download abc -o @OUT ${SERVER}`,
    2,
    'hash expected 64 hexadecimal digits, got "abc"',
    /Copy the whole hash/,
  ],
  [
    `download @ZEROS -o @OUT ${SERVER}`,
    5,
    /^the store at [\d.:]+ has no file with the hash 0+1$/,
    /Check the hash/,
  ],
  [`download @HASH -o @FOLDER ${SERVER}`, 2, /"@FOLDER" is a folder: name the file/, DOWNLOAD_HELP],
  [
    `download @HASH -o @FILE/x ${SERVER}`,
    8,
    /"@FILE\/x" expected a writable output, got (a file where|something else)/,
    /Check that the folder is there/,
  ],
  [
    `download @HASH -o @OUT --offset -5 ${SERVER}`,
    2,
    /^--offset expected a value; one that begins with a dash/,
    DOWNLOAD_HELP,
  ],
  [
    `download @HASH -o @OUT --offset 99999999 ${SERVER}`,
    2,
    /99999999, which is at or behind its end/,
    /below the size of the file/,
  ],
  [
    `download @HASH @HASH -o - ${SERVER}`,
    2,
    /several files go into a folder, -o FOLDER, or into an archive, --zip OUT.zip/,
    DOWNLOAD_HELP,
  ],
  [
    `download @HASH -o @OUT --zip x.zip ${SERVER}`,
    2,
    /--zip cannot be combined with -o/,
    DOWNLOAD_HELP,
  ],
  [`download --zip @OUT @HASH=../x ${SERVER}`, 3, /got "..\/x"/, /Rename the entry/],
  ['chunk', 2, 'chunk expected one FILE', 'See orbweaver chunk --help.'],
  ['chunk @NONE', 3, '"@NONE" expected a readable input, got no such file or folder', PATH],
  [
    'inspect @FILE',
    6,
    /^"@FILE" is neither a shard nor a xorb: at its start, /,
    /^Name a xorb or a shard/,
  ],
  ['inspect @EMPTY', 6, /^"@EMPTY" is empty/, /^Name a xorb or a shard/],
  ['inspect @NONE', 3, '"@NONE" expected a readable input, got no such file or folder', PATH],
  ['estimate @NONE', 3, '"@NONE" expected a readable input, got no such file or folder', PATH],
  ['demo @NONE', 3, /^"@NONE" expected a file to demonstrate with/, PATH],
  ['serve', 2, 'serve expected --data PLACE', 'See orbweaver serve --help.'],
  [
    'completion csh',
    2,
    'completion expected one of bash, zsh, fish, got "csh"',
    'See orbweaver completion --help.',
  ],
];

const FOLDER_ONLY = ['exclude', 'files-from', 'no-hidden', 'symlinks', 'names'];

/** Kinds of destinations, each with a command line and with options that make it one of another kind. */
const KINDS: readonly (readonly [string, string, Destinations<string>, readonly string[]])[] = [
  ['files', `upload @FILE ${SERVER}`, UPLOADS, ['to', ...FOLDER_ONLY]],
  ['folders', `upload @FOLDER ${SERVER}`, UPLOADS, ['to']],
  ['files to hf://', 'upload @FILE hf://org/repo', UPLOADS, ['to']],
  ['folders to hf://', 'upload @FOLDER hf://org/repo', UPLOADS, ['to']],
  ['--to', 'upload @FILE --to multipart:http://127.0.0.1:1', UPLOADS, []],
  ['whole files', `download @HASH -o @FILE ${SERVER}`, DOWNLOADS, ['offset', 'length']],
  ['ranges', `download @HASH -o @FILE --offset 0 ${SERVER}`, DOWNLOADS, []],
  ['--zip', `download @HASH=x --zip @OUT ${SERVER}`, DOWNLOADS, ['output', 'offset', 'length']],
  ['folders', `download @HASH -o @FOLDER ${SERVER}`, DOWNLOADS, ['offset', 'length']],
  ['hf://', 'download hf://org/repo -o @OUT', DOWNLOADS, []],
];

describe('what a wrong command line or a fault is answered with', () => {
  let folder: string;
  let gateway: Served;
  const names: Record<string, string> = {};

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-messages-'));
    gateway = await serve(['--data', join(folder, 'store'), '--port', '0']);
    names['PASTEL'] = 'a1'.repeat(43);
    names['FILE'] = join(folder, 'file');
    names['EMPTY'] = join(folder, 'empty');
    names['FOLDER'] = join(folder, 'folder');
    names['NONE'] = join(folder, 'none');
    names['OUT'] = join(folder, 'out');
    await mkdir(names['FOLDER']);
    await writeFile(names['EMPTY'], '');
    await writeFile(names['FILE'], generate({ kind: 'splitmix64', seed: 8, bytes: 100_000 }));
    names['URL'] = gateway.url;
    names['TOKEN'] = gateway.writeToken;
    names['READER'] = gateway.readToken;
    names['ZEROS'] = `${'0'.repeat(63)}1`;
    const server = ['--endpoint', gateway.url, '--token', gateway.writeToken];
    const run = await inProcess(['upload', names['FILE'], ...server, '--quiet']);
    names['HASH'] = run.stdout.toString().slice(0, 64);
  });
  afterAll(async () => {
    await gateway?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const filled = (text: string): string =>
    text.replace(/@([A-Z]+)/g, (_, name: string) => names[name] as string);
  const matcher = (text: string | RegExp): RegExp =>
    typeof text === 'string'
      ? new RegExp(`^${escaped(filled(text))}$`)
      : new RegExp(
          text.source.replace(/@([A-Z]+)/g, (_, name: string) => escaped(names[name] as string)),
          text.flags,
        );

  it.each(ROWS)('%s', async (line, status, message, hint) => {
    const context = contextOf(false);
    const args = line.split(' ').map((word) => filled(word));
    expect(await runCli(args, context)).toBe(status);
    const all = context.drawn().trimEnd().split('\n');
    const lines = all.filter((each) => !/ failed \([A-Z_]+\), attempt \d+ /.test(each));
    // A sentence with its code, and the next step: nothing but retries else, no stack, no secret.
    expect(lines).toHaveLength(2);
    const [, said = '', code = ''] =
      /^orbweaver: (.*) \(([A-Z_]+)(?:, status \d+)?(?:, request \S+)?\)$/.exec(lines[0] ?? '') ??
      [];
    expect(code).not.toBe('INTERNAL');
    expect(said).toMatch(matcher(message));
    expect((lines[1] ?? '').trim()).toMatch(matcher(hint));
    expect(lines.join()).not.toContain(gateway.writeToken);
    expect(String((context.stdout as PassThrough).read() ?? '')).toBe('');
  });

  it.each(KINDS)('%s takes the options that are for it', async (kind, line, table, routing) => {
    const allowed = table[kind] as readonly string[];
    const { options = [] } = line.startsWith('upload') ? uploadCommand : downloadCommand;
    const own = options.filter(({ name }) => !COMMON.some((common) => common.name === name));
    const known = own.map(({ name }) => name);
    // Each option is for something, and nothing else is.
    expect([...new Set(Object.values(table).flat())].sort()).toEqual([...known].sort());
    for (const { name, value, choices } of own) {
      if (allowed.includes(name) || routing.includes(name)) continue;
      const given = value === undefined ? `--${name}` : `--${name}=${choices?.[0] ?? '1'}`;
      const context = contextOf(false);
      expect(await runCli([...filled(line).split(' '), given], context), given).toBe(2);
      expect(context.drawn()).toMatch(new RegExp(`^orbweaver: --${name} (is|are|cannot) .*USAGE`));
    }
  });

  it('says each file that failed, with its code, and each next step once', async () => {
    const context = contextOf(false);
    const args = filled(`upload @FILE @NONE @NONE.2 ${SERVER}`).split(' ');
    expect(await runCli(args, context)).toBe(9);
    const lines = context.drawn().trimEnd().split('\n').slice(1);
    expect(lines.map((line) => /\(([A-Z_]+)\)$/.exec(line)?.[1] ?? line.trim())).toEqual([
      'INPUT_NOT_FOUND',
      'INPUT_NOT_FOUND',
      PATH,
    ]);
  });

  it('shows the causes and fields with --verbose, without the token', async () => {
    const context = contextOf(false);
    const args = filled('upload @FILE --endpoint @URL --token hf_secret_of_mine --verbose').split(
      ' ',
    );
    expect(await runCli(args, context)).toBe(4);
    const said = context.drawn();
    expect(said).toContain('"status":401');
    expect(said).not.toContain('hf_secret_of_mine');
  });
});

describe('the help', () => {
  it('of one command points to the table of exit codes, which the overview has', async () => {
    const texts = await Promise.all(
      [['--help'], ['upload', '--help'], ['transfers', '--help']].map(async (args) => {
        const context = contextOf(false);
        expect(await runCli(args, context)).toBe(0);
        return String((context.stdout as PassThrough).read());
      }),
    );
    expect(texts.map((text) => text.split('the server refused the token').length - 1)).toEqual([
      1, 0, 0,
    ]);
    for (const text of texts) expect(text).toContain('Exit codes:');
    expect(texts[1]).toContain('--to KIND:URL [--token-file FILE]');
  });

  it.each(['--version', '-V', '-v'])('of the version is asked for with %s', async (name) => {
    const context = contextOf(false);
    expect(await runCli([name], context)).toBe(0);
    expect(String((context.stdout as PassThrough).read())).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('sentences', () => {
  it('leave alone what they do not know', () => {
    const code = 'REJECTED';
    expect(sayingOf({ code, message: 'the shard is wrong' }, undefined).message).toBe(
      'the shard is wrong',
    );
    const message = '"status" of POST /v1/xorbs at h expected success, got 502: <html>';
    expect(sayingOf({ code: 'SERVER_ERROR', message }, 'upload').message).toBe(
      'h refused POST /v1/xorbs with status 502',
    );
  });

  it('guess only what is near', () => {
    expect(nearest('dowload', ['upload', 'download'])).toBe('download');
    expect(nearest('xyz', ['upload', 'download'])).toBeUndefined();
  });
});

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
