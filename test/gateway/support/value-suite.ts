import { describe, expect, it } from 'vitest';
import { MAX_VALUE_BYTES, type ValueStore } from '../../../src/gateway/index.js';

/** What every store of values has to do: one suite, run over each implementation. */
export function valueSuite(name: string, open: () => Promise<ValueStore | undefined>): void {
  const opened = async (): Promise<ValueStore> => {
    const values = await open();
    if (values === undefined) throw new Error('the store has no values');
    return values;
  };
  const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
  const textOf = async (values: ValueStore, key: string): Promise<string | null> => {
    const value = await values.read(key);
    return value === null ? null : new TextDecoder().decode(value.bytes);
  };
  const keysOf = async (values: ValueStore, prefix: string): Promise<string[]> => {
    const keys: string[] = [];
    for await (const { key } of values.list(prefix)) keys.push(key);
    return keys.sort();
  };

  describe(`values of the ${name} store`, () => {
    it('writes what is not there, and only that, for a null', async () => {
      const values = await opened();
      expect(await values.read('hub/a')).toBeNull();
      const version = await values.write('hub/a', bytesOf('one'), null);
      expect(version).toEqual(expect.any(String));
      expect(await values.read('hub/a')).toEqual({ bytes: bytesOf('one'), version });
      expect(await values.write('hub/a', bytesOf('two'), null)).toBeNull();
      expect(await textOf(values, 'hub/a')).toBe('one');
    });

    it('writes over the version that was seen, and over no other', async () => {
      const values = await opened();
      const first = (await values.write('hub/a', bytesOf('one'), null)) ?? '';
      const second = (await values.write('hub/a', bytesOf('two'), first)) ?? '';
      expect(second).not.toBe(first);
      expect(await values.write('hub/a', bytesOf('three'), first)).toBeNull();
      expect(await textOf(values, 'hub/a')).toBe('two');
      // The same bytes again are another version all the same, or another writer would be missed.
      const third = (await values.write('hub/a', bytesOf('two'), second)) ?? '';
      expect(await values.write('hub/b', bytesOf('x'), 'none-such')).toBeNull();
      expect(await values.read('hub/b')).toBeNull();
      expect((await values.read('hub/a'))?.version).toBe(third);
    });

    it('deletes the version that was seen, and a value that comes back is another one', async () => {
      const values = await opened();
      const first = (await values.write('hub/a', bytesOf('one'), null)) ?? '';
      expect(await values.delete('hub/a', 'none-such')).toBe(false);
      expect(await textOf(values, 'hub/a')).toBe('one');
      expect(await values.delete('hub/a', first)).toBe(true);
      expect(await values.read('hub/a')).toBeNull();
      expect(await values.delete('hub/a', first)).toBe(false);
      expect(await values.write('hub/a', bytesOf('two'), first)).toBeNull();
      const again = (await values.write('hub/a', bytesOf('two'), null)) ?? '';
      expect(again).not.toBe(first);
      expect(await values.delete('hub/a', first)).toBe(false);
      expect(await textOf(values, 'hub/a')).toBe('two');
    });

    it('lets exactly one of many win, and loses no step of a count', async () => {
      const values = await opened();
      const firsts = await Promise.all(
        [0, 1, 2, 3, 4, 5].map((index) => values.write('hub/n', bytesOf(`0 ${index}`), null)),
      );
      expect(firsts.filter((version) => version !== null)).toHaveLength(1);
      const countOn = async (writer: number): Promise<void> => {
        for (let done = 0; done < 5; ) {
          const seen = await values.read('hub/n');
          const count = Number(new TextDecoder().decode(seen?.bytes).split(' ')[0]);
          const next = bytesOf(`${count + 1} ${writer}`);
          if ((await values.write('hub/n', next, seen?.version ?? null)) !== null) done++;
        }
      };
      await Promise.all([0, 1, 2].map(countOn));
      expect((await textOf(values, 'hub/n'))?.split(' ')[0]).toBe('15');
    });

    it('keeps empty values and the largest, and refuses larger ones', async () => {
      const values = await opened();
      await values.write('hub/empty', new Uint8Array(0), null);
      expect((await values.read('hub/empty'))?.bytes).toEqual(new Uint8Array(0));
      const largest = new Uint8Array(MAX_VALUE_BYTES).fill(7);
      await values.write('hub/largest', largest, null);
      expect((await values.read('hub/largest'))?.bytes.length).toBe(MAX_VALUE_BYTES);
      const tooLarge = new Uint8Array(MAX_VALUE_BYTES + 1);
      await expect(values.write('hub/more', tooLarge, null)).rejects.toThrow(RangeError);
      expect(await values.read('hub/more')).toBeNull();
    });

    it('borrows: what the caller does with its bytes afterwards changes nothing', async () => {
      const values = await opened();
      const bytes = Buffer.from('one');
      await values.write('hub/a', bytes, null);
      bytes.fill(0);
      (await values.read('hub/a'))?.bytes.fill(0);
      expect(await textOf(values, 'hub/a')).toBe('one');
    });

    it('lists what lies below a prefix and is there', async () => {
      const values = await opened();
      for (const key of ['hub/refs/a/main', 'hub/refs/a/dev', 'hub/refs/b', 'hub/x', 'other/a/b']) {
        await values.write(key, bytesOf(key), null);
      }
      const gone = (await values.write('hub/refs/gone', bytesOf('x'), null)) ?? '';
      await values.delete('hub/refs/gone', gone);
      expect(await keysOf(values, 'hub/refs/')).toEqual([
        'hub/refs/a/dev',
        'hub/refs/a/main',
        'hub/refs/b',
      ]);
      expect(await keysOf(values, 'hub/refs/a/')).toEqual(['hub/refs/a/dev', 'hub/refs/a/main']);
      expect(await keysOf(values, 'hub/')).toHaveLength(4);
      expect(await keysOf(values, 'none/')).toEqual([]);
      for await (const { modifiedMs } of values.list('hub/')) {
        expect(modifiedMs).toBeGreaterThan(1_500_000_000_000);
      }
    });

    it('takes no key that could be anything else than a name', async () => {
      const values = await opened();
      for (const key of ['a', '../a', 'a/../b', 'a/.b', 'a/=1', 'a/B', 'a/b/c/d/e/f', 'a//b']) {
        const asked = [
          async () => values.read(key),
          async () => values.write(key, bytesOf('x'), null),
          async () => values.delete(key, 'x'),
          async () => keysOf(values, `${key.toUpperCase()}//`),
        ];
        for (const ask of asked) await expect(ask(), key).rejects.toThrow(RangeError);
      }
    });
  });
}
