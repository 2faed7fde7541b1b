import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as ours from 'orbweaver/hub';
import { describe, expect, it } from 'vitest';

const npm = process.env['ORBWEAVER_INTEROP_HUB_NPM'];

/** The table of docs/hub-client.md that says what is equal to `@huggingface/hub`, by function. */
function rows(): { readonly names: string[]; readonly same: string; readonly different: string }[] {
  const text = readFileSync(new URL('../../docs/hub-client.md', import.meta.url), 'utf8');
  const table = text.slice(
    text.indexOf('## Coming from `@huggingface/hub`'),
    text.indexOf('What else that package takes:'),
  );
  return table
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const [, functions = '', same = '', different = ''] = line.split('|');
      const names = [...functions.matchAll(/`(\w+)`/g)].map((match) => match[1] as string);
      return { names, same, different };
    });
}

describe.skipIf(npm === undefined)('the names of @huggingface/hub', () => {
  it('are ours where the table says so, and no others', async () => {
    const theirs: Readonly<Record<string, unknown>> = await import(
      pathToFileURL(npm as string).href
    );
    const mine: Readonly<Record<string, unknown>> = { ...ours };
    let compared = 0;
    for (const { names, different } of rows()) {
      for (const name of names) {
        compared++;
        expect(typeof mine[name], `ours: ${name}`).toBe('function');
        const isTheirs = !different.includes('not there in that package');
        expect(typeof theirs[name] === 'function', `theirs: ${name}`).toBe(isTheirs);
      }
    }
    expect(compared).toBeGreaterThan(10);
    const functions = Object.keys(mine).filter((name) => typeof mine[name] === 'function');
    const told = new Set(rows().flatMap(({ names }) => names));
    // What both export is in the table.
    expect(functions.filter((name) => name in theirs && !told.has(name))).toEqual([]);
  });

  it('have the options that the table calls the same', () => {
    // The declarations are one file for each function.
    const folder = join(dirname(npm as string), 'src');
    const text = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.d.ts'))
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('\n');
    const missing = rows()
      .flatMap(({ same }) => [...same.matchAll(/`(\w+)`/g)].map((match) => match[1] as string))
      .filter((option) => !new RegExp(`\\b${option}\\b`).test(text));
    expect(missing).toEqual([]);
  });
});
