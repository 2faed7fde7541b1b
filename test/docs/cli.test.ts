import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { optionsOf, optionTables, withTables } from '../../scripts/cli-options.mjs';
import type { CliContext } from '../../src/cli/context.js';
import { EXIT_CODES_HELP } from '../../src/cli/exit-codes.js';
import { ERROR_CODES, EXIT } from '../../src/errors.js';
import { runCli } from '../cli/run-cli.js';

const text = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');

async function helpOf(...args: readonly string[]): Promise<string> {
  const stdout = new PassThrough();
  const pieces: Buffer[] = [];
  stdout.on('data', (piece: Buffer) => pieces.push(piece));
  const context = { stdout, stderr: new PassThrough(), env: {}, cwd: '/' };
  const code = await runCli([...args, '--help'], context as unknown as CliContext);
  expect(code).toBe(0);
  return Buffer.concat(pieces).toString();
}

async function commandNames(): Promise<string[]> {
  const list = (await helpOf()).split('\nCommands:\n')[1]?.split('\n\n')[0] ?? '';
  return [...list.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) => name as string);
}

describe('docs/cli.md', () => {
  it('names every command', async () => {
    const documented = [...text.matchAll(/^\| `orbweaver ([a-z-]+)/gm)].map(([, name]) => name);
    expect([...new Set(documented)].sort()).toEqual((await commandNames()).sort());
  });

  it('has the options of every command (else run scripts/cli-options.mjs)', async () => {
    const helps = new Map<string, string>();
    for (const name of await commandNames()) helps.set(name, await helpOf(name));
    expect(text).toBe(withTables(text, optionTables(helps)));
    expect(optionsOf(helps.get('download') as string).map(({ option }) => option)).toContain(
      '-o, --output OUT',
    );
  });

  it('has the exit codes of the help, and they are those of the errors', () => {
    const inHelp = [...EXIT_CODES_HELP.matchAll(/^ {2}(\d+(?:, \d+)*) +(.*)$/gm)].map(
      ([, code, what]) => [code, what],
    );
    const inText = [...text.matchAll(/^\| (\d+(?:, \d+)*) \| (.*) \|$/gm)].map(([, code, what]) => [
      code,
      (what as string).replaceAll('`', ''),
    ]);
    expect(inText).toEqual(inHelp);
    const documented = new Set(
      inText.flatMap(([codes]) => (codes as string).split(', ').map(Number)),
    );
    const used = [
      ...Object.values(ERROR_CODES).map(({ exitCode }) => exitCode),
      ...Object.values(EXIT),
    ];
    for (const code of used) expect(documented, String(code)).toContain(code);
  });
});
