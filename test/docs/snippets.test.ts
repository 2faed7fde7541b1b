import { execFile } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../../src/gateway.js';
import { generate } from '../support/generators.js';

/** What the documents tell a reader to type is run, on the compiled package, in an empty folder. */

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const fence = '`'.repeat(3);

function snippets(document: string, language: string): string[] {
  const text = readFileSync(join(root, document), 'utf8');
  const pattern = new RegExp(`^${fence}${language}\\n([\\s\\S]*?)^${fence}$`, 'gm');
  return [...text.matchAll(pattern)].map(([, code]) => code as string);
}

let folder: string;
let gateway: RunningGateway;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'orbweaver-docs-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules', 'orbweaver'), 'dir');
  const file = (name: string, seed: number): Uint8Array => {
    const bytes = generate({ kind: 'splitmix64', seed, bytes: 1_200_000 });
    writeFileSync(join(folder, name), bytes);
    return bytes;
  };
  file('model.safetensors', 1);
  file('v1.bin', 2);
  file('v2.bin', 2);
  const other = file('other.bin', 3);
  writeFileSync(join(folder, 'release.zip'), zipSync({ 'a/other.bin': other }));
  for (const name of ['FOLDER', 'data']) {
    mkdirSync(join(folder, name, 'a'), { recursive: true });
    writeFileSync(join(folder, name, 'a', 'b.txt'), name);
  }
  gateway = await startGateway({
    data: join(folder, 'gateway'),
    port: 0,
    token: 'secret',
    workers: 0,
  });
});
afterAll(async () => {
  await gateway.close();
  rmSync(folder, { recursive: true });
});

describe('the programs of the documents', () => {
  const names = ['README.md', 'docs/gateway.md', 'docs/operating.md', 'docs/folders.md'];
  const all = names.flatMap((name) =>
    snippets(name, 'js').map((code, index) => [`${name}, number ${index + 1}`, code] as const),
  );

  it.each(all)(
    'run: %s',
    async (_, code) => {
      // What a snippet takes for granted.
      const given = [
        ['endpoint', JSON.stringify(gateway.url)],
        ['token', '"secret"'],
        ['stream', '(async function* () { yield new Uint8Array(5000); })()'],
        ['use', '(piece) => piece.length'],
        ['gateway', 'globalThis.givenGateway'],
        ['client', `await (await import('orbweaver')).createClient({ endpoint, token })`],
      ].filter(([name]) => !new RegExp(`const (\\{[^}]*)?\\b${name}\\b`).test(code));
      const needsGateway = given.some(([name]) => name === 'gateway') && /gateway\./.test(code);
      const lines = given.map(([name, value]) => `const ${name} = ${value};`);
      if (needsGateway) {
        lines.unshift(
          `import * as given from 'orbweaver/gateway';`,
          `import { loadKernels as givenKernels } from 'orbweaver';`,
          `globalThis.givenGateway = given.createGateway({ store: given.createMemoryStore(), ...(await givenKernels()), tokens: [{ token: 'secret', scope: 'write' }] });`,
          `import { createNodeServer } from 'orbweaver/gateway';`,
        );
      }
      const path = join(folder, 'snippet.mjs');
      // Servers of snippets that are left open end with the process.
      writeFileSync(path, `${lines.join('\n')}\n${code}\nprocess.exit(0);\n`);
      await run(process.execPath, [path], { cwd: folder });
    },
    60_000,
  );
});

describe('the commands of README.md', () => {
  it('do what they say, one after another', async () => {
    const lines = snippets('README.md', 'sh')
      .flatMap((code) => code.split('\n'))
      .map((line) => line.replace(/\s+#.*$/, '').trim())
      .filter((line) => line.startsWith('npx orbweaver '));
    const commands = new Set(lines.map((line) => line.split(' ')[2]));
    for (const name of ['upload', 'download', 'estimate', 'chunk', 'inspect', 'serve', 'bench']) {
      expect(commands, name).toContain(name);
    }
    let hash = '';
    let manifest = '';
    for (const line of lines) {
      // These two run until they are ended, or take long; both have tests of their own.
      if (/ (serve|bench) /.test(line)) continue;
      const xorb = join(root, 'fixtures', 'native');
      const args = line
        .slice('npx orbweaver '.length)
        .replaceAll('<hash>', hash)
        .replaceAll('<manifest>', manifest)
        .replaceAll("'", '')
        .replaceAll('<xorb>', firstXorb(join(folder, 'gateway', 'xorbs')) ?? xorb)
        .split(' ');
      const main = join(root, 'dist', 'cli', 'main.js');
      const env = {
        ...process.env,
        ORBWEAVER_ENDPOINT: gateway.url,
        ORBWEAVER_TOKEN: 'secret',
        // Nothing of it belongs to whoever runs the tests.
        XDG_STATE_HOME: join(folder, 'state'),
        XDG_CACHE_HOME: join(folder, 'cache'),
      };
      const { stdout } = await run(process.execPath, [main, ...args], { cwd: folder, env });
      hash ||= /[0-9a-f]{64}/.exec(stdout)?.[0] ?? '';
      expect(hash, line).not.toBe('');
      if (args[1] === 'FOLDER') manifest = /^[0-9a-f]{64}/.exec(stdout)?.[0] ?? '';
    }
    expect(readFileSync(join(folder, 'copy', 'a', 'b.txt'), 'utf8')).toBe('FOLDER');
    const original = readFileSync(join(folder, 'model.safetensors'));
    expect(readFileSync(join(folder, 'copy.safetensors')).equals(original)).toBe(true);
    const part = original.subarray(1 << 20, (1 << 20) + (64 << 10));
    expect(readFileSync(join(folder, 'part.bin')).equals(part)).toBe(true);
  }, 240_000);
});

function firstXorb(folderOfXorbs: string): string | undefined {
  const found = readdirSync(folderOfXorbs, { recursive: true, withFileTypes: true });
  const file = found.find((entry) => entry.isFile());
  return file === undefined ? undefined : join(file.parentPath, file.name);
}
