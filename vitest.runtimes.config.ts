import { defineConfig } from 'vitest/config';

/**
 * The public suite on the runtime that runs this: scripts/on-runtime.mjs starts it with Bun and with Deno.
 * What one of them does not do is left out by name, and why it is.
 */
const LACKS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  bun: {
    'goes over a dispatcher of the caller': 'has a module of its own in place of undici',
    'the undici wire over': 'has a module of its own in place of undici',
    'the fetch wire over': 'the same; its own fetch is asked instead, as "native fetch"',
    'the native fetch wire over http tells that what came is not HTTP':
      'does not tell it from a cut connection, so it is tried again',
    'the proxied node wire over https holds the sender up':
      'goes on reading TLS inside of a tunnel when nobody does',
    'lets a body live that is read slowly': 'takes more of a body than the kernel has room for',
    'has no such limit where somebody reads': 'takes more of a body than the kernel has room for',
    'goes on to the next address of a host': 'connects to the first address only',
    'opens the index and its own shard': 'the test counts calls of node:fs',
    'comes back as it was': 'the test lists a folder, and there that follows links in a circle',
  },
  deno: {
    'comes back as it was': 'sets times a millisecond off',
    'works where the store has no batches': 'sets times a millisecond off',
    'fetches nothing that is there, whatever its rights': 'sets times a millisecond off',
    'of many small files takes few requests': 'reads unchanged files again',
    'is read again when the store has lost': 'reads unchanged files again',
    'is read for a SHA-256 that nobody computed': 'reads unchanged files again',
    'costs no request of its own among many': 'reads unchanged files again',
    'has names that are not UTF-8': 'leaves such names out of folders',
    'the undici wire over': 'its own fetch is asked instead, as "native fetch"',
    'the fetch wire over': 'its own fetch is asked instead, as "native fetch"',
    'the native fetch wire over http tells that (?:a connection ended|what came is not)':
      'does not tell the one from the other, so both are tried again',
    'node wire over https holds the sender up': 'goes on reading TLS when nobody does',
    'node wire over https tells a refusal although': 'loses what a cut connection had brought',
    'are replaced when the server closed them': 'replaces connections by itself, and says nothing',
    'goes on to the next address of a host': 'connects to the first address only',
    'ends with its signal, also while it waits':
      'the test counts on the order of turns in the event loop of Node',
    'a process that uses the store': 'the test writes a program that only Node takes for a module',
    'opens the index and its own shard': 'the test counts calls of node:fs',
  },
};

const { versions } = process as { versions: Readonly<Record<string, string | undefined>> };
const runtime =
  versions['bun'] !== undefined ? 'bun' : versions['deno'] !== undefined ? 'deno' : '';
const left = Object.keys(LACKS[runtime] ?? {});

export default defineConfig({
  test: {
    include: ['test/{client,compose,edit,entry-points,folder,transport}/**/*.test.ts'],
    testNamePattern: left.length === 0 ? /./ : new RegExp(`^(?!.*(?:${left.join('|')}))`),
    testTimeout: 180_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
    isolate: false,
    server: { deps: { external: [/\/node_modules\//, /\/dist\//] } },
  },
});
