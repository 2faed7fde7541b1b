// Writes the tables of options in docs/cli.md from the help texts, which are their one source:
//
//     npm run build && node scripts/cli-options.mjs
//
// test/docs/cli.test.ts makes the same tables from the sources and compares.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @typedef {{ option: string, text: string, fallback: string }} Option */

/**
 * The options that a help text explains.
 * @param {string} help
 * @returns {Option[]}
 */
export function optionsOf(help) {
  const section = help.split('\nOptions:\n')[1]?.split('\n\n')[0] ?? '';
  const options = [];
  for (const line of section.split('\n')) {
    const match = /^ {2}(-.*?) {2,}(.*)$/.exec(line);
    const last = options.at(-1);
    if (match === null) {
      if (last !== undefined) last.text += ` ${line.trim()}`;
      continue;
    }
    const [, option, rest] = match;
    const [, text, fallback = ''] = /^(.*?)(?: +\[(.*)\])?$/.exec(rest);
    options.push({ option, text, fallback });
  }
  return options;
}

/**
 * The part of docs/cli.md about options: one table for those of all commands, one for each command.
 * @param {ReadonlyMap<string, string>} helps by command
 */
export function optionTables(helps) {
  const all = new Map([...helps].map(([name, help]) => [name, optionsOf(help)]));
  const isCommon = ({ option }) =>
    [...all.values()].every((options) => options.some((other) => other.option === option));
  const [first = []] = all.values();
  const parts = [`Every command:\n\n${table(first.filter(isCommon))}`];
  for (const [name, options] of all) {
    const own = options.filter((option) => !isCommon(option));
    if (own.length > 0) parts.push(`\`${name}\`:\n\n${table(own)}`);
  }
  return parts.join('\n\n');
}

function table(options) {
  const cell = (text) => text.replaceAll('|', '\\|');
  const rows = options.map(
    ({ option, text, fallback }) => `| \`${cell(option)}\` | ${cell(text)} | ${cell(fallback)} |`,
  );
  return ['| option | what | default |', '|---|---|---|', ...rows].join('\n');
}

export const BEGIN = '<!-- options: made by scripts/cli-options.mjs -->';
export const END = '<!-- end of options -->';

/** The documentation with these tables in their place. */
export function withTables(text, tables) {
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error('docs/cli.md has no place for options');
  return `${before}${BEGIN}\n\n${tables}\n\n${END}${after}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..');
  const main = join(root, 'dist', 'cli', 'main.js');
  const help = (...args) =>
    spawnSync(process.execPath, [main, ...args, '--help'], { encoding: 'utf8' }).stdout;
  const list = help().split('\nCommands:\n')[1].split('\n\n')[0];
  const names = [...list.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) => name);
  const path = join(root, 'docs', 'cli.md');
  const tables = optionTables(new Map(names.map((name) => [name, help(name)])));
  writeFileSync(path, withTables(readFileSync(path, 'utf8'), tables));
}
