import { describe, expect, it } from 'vitest';
import {
  fileDownloadCommand,
  filesCommand,
  folderCommand,
  folderDownloadCommand,
} from '../../src/compose/hub-command.js';
import type { HubParts } from '../../src/compose/hub-parts.js';
import type { HubOptions } from '../../src/compose/hub-types.js';

/** Command lines that do again what a method of a hub has begun. */

const partsOf = (options: HubOptions = {}): HubParts =>
  ({ http: { url: new URL('http://hub.test/base/') }, options }) as unknown as HubParts;
const repo = 'datasets/org/data';

describe('the command of a transfer', () => {
  it('of a folder says what of it, where to, and how', () => {
    const command = folderCommand(partsOf({ placement: 'read-fast' }), {
      ...{ repo, revision: 'a/b', folder: '/in', path: 'to/', title: 'T', createPr: true },
      ...{ include: ['*.bin'], exclude: ['x'], hidden: false, symlinks: 'skip' },
      ...{ names: 'portable', deleteRemoved: true, files: ['one', 'two'] },
    });
    expect(command).toMatchObject({
      paths: ['/in'],
      list: { count: 2 },
      options: [
        ...['--include=*.bin', '--exclude=x', '--no-hidden', '--symlinks=skip'],
        ...['--names=portable', '--delete-removed', '--message=T', '--pr'],
        '--placement=read-fast',
      ],
      hub: { url: 'http://hub.test/base', address: 'hf://datasets/org/data@a%2Fb/to' },
    });
  });

  it.each([
    [[{ path: 'a/b.bin', content: '/in/other' }], {}, 'hf://datasets/org/data/a/b.bin'],
    [
      ['x', 'y'].map((name) => ({ path: `a/${name}`, content: `/in/${name}` })),
      {},
      'hf://datasets/org/data/a',
    ],
    [[{ path: 'x', content: new URL('file:///in/x') }], { revision: 'v1' }, /@v1\/x$/],
    [['x', 'y'].map((name) => ({ path: name, content: `/in/z${name}` })), {}, null],
    [[{ path: 'x', content: new Uint8Array(1) }], {}, null],
    [[{ path: 'x', content: '/in/x' }], { description: 'more' }, null],
    [[{ path: 'x', content: '/in/x' }], { deletePaths: ['y'] }, null],
    [[{ path: 'x', content: '/in/x' }], { repo: 'gpt2' }, null],
  ])('of files is one only where a command line can say it: %j', (files, more, address) => {
    const { hub } = filesCommand(partsOf(), files, { repo, ...more });
    if (address instanceof RegExp) expect(hub?.address).toMatch(address);
    else expect(hub?.address).toBe(address);
  });

  it('of a download names the folder, or the cache', () => {
    const of = { repo, path: 'p', to: '/out', exclude: ['x'] };
    expect(folderDownloadCommand(partsOf({ transport: 'xet' }), of)).toMatchObject({
      options: ['--output=/out', '--exclude=x', '--transport=xet'],
      hub: { address: 'hf://datasets/org/data/p' },
    });
    expect(folderDownloadCommand(partsOf(), { ...of, cache: true })).toMatchObject({
      options: ['--hf-cache', '--exclude=x'],
      hub: { cache: '/out' },
    });
    const file = { repo, path: 'p/x.bin', to: '/out/x.bin' };
    expect(fileDownloadCommand(partsOf(), file)).toMatchObject({
      options: ['--output=/out'],
      hub: { address: 'hf://datasets/org/data/p/x.bin' },
    });
    const renamed = fileDownloadCommand(partsOf(), { ...file, to: '/out/y.bin' });
    expect(renamed.hub?.address).toBeNull();
  });
});
