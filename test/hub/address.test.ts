import { describe, expect, it } from 'vitest';
import { checkRepoPath, parseHubAddress, repoOf } from '../../src/hub/index.js';

describe('hf:// addresses', () => {
  it.each([
    ['hf://org/name', 'model', 'org/name', null, ''],
    ['hf://models/org/name', 'model', 'org/name', null, ''],
    ['hf://datasets/org/name@main/data/a.bin', 'dataset', 'org/name', 'main', 'data/a.bin'],
    ['hf://spaces/org/name/app.py', 'space', 'org/name', null, 'app.py'],
    ['hf://buckets/org/name/x/', 'bucket', 'org/name', null, 'x'],
    ['hf://org/name@refs%2Fpr%2F1/a', 'model', 'org/name', 'refs/pr/1', 'a'],
  ])('%s', (text, type, name, revision, path) => {
    expect(parseHubAddress(text)).toEqual({ repo: { type, name }, revision, path });
  });

  it.each([
    'hf://',
    'hf://org',
    'hf://org/',
    'hf://datasets/org',
    'hf://org/name@',
    'hf://org/name@%zz/a',
    'hf://or g/name',
    'hf://buckets/org/name@main/a',
    'http://org/name',
  ])('%s is refused', (text) => {
    expect(() => parseHubAddress(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });

  it.each(['hf://org/name/../x', 'hf://org/name/a\\b'])('%s is unsafe', (text) => {
    expect(() => parseHubAddress(text)).toThrow(expect.objectContaining({ code: 'UNSAFE_PATH' }));
  });

  it('takes designations as the JavaScript client does', () => {
    expect(repoOf('gpt2')).toEqual({ type: 'model', name: 'gpt2' });
    expect(repoOf('datasets/org/name')).toEqual({ type: 'dataset', name: 'org/name' });
    expect(repoOf({ type: 'space', name: 'org/app' })).toEqual({ type: 'space', name: 'org/app' });
    expect(() => repoOf('a/b/c')).toThrow(expect.objectContaining({ code: 'USAGE' }));
    expect(() => repoOf('../x')).toThrow(expect.objectContaining({ code: 'USAGE' }));
    expect(() => checkRepoPath('')).toThrow(expect.objectContaining({ code: 'UNSAFE_PATH' }));
  });
});
