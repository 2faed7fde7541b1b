import { spawn } from 'node:child_process';
import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Journals, TransferJournal } from '../../src/client/ports.js';
import { defaultJournalFolder } from '../../src/compose/state-folder.js';
import { createJournals } from '../../src/io/index.js';

describe('journals', () => {
  let folder: string;
  const opened: TransferJournal[] = [];
  /** The same, whose journals are closed after the test. */
  const journalsIn = (path: string): Journals => {
    const journals = createJournals(path);
    return {
      ...journals,
      async create(first, options) {
        const journal = await journals.create(first, options);
        opened.push(journal);
        return journal;
      },
      async open(id) {
        const journal = await journals.open(id);
        if (journal !== null) opened.push(journal);
        return journal;
      },
    };
  };
  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'orbweaver-journal-')), 'a', 'b');
  });
  afterEach(async () => {
    for (const journal of opened.splice(0)) await journal.close();
    await rm(join(folder, '..', '..'), { recursive: true, force: true });
  });

  const only = async (): Promise<string> => join(folder, (await readdir(folder))[0] ?? '');

  it('keep entries in order, one file for each transfer, for their owner only', async () => {
    const journals = journalsIn(folder);
    const journal = await journals.create({ type: 'begin', name: 'ä\n"' });
    await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        journal.append({ type: 'ack', i }, { durable: i % 7 === 0 }),
      ),
    );
    const lines = (await readFile(await only(), 'utf8')).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).i)).toEqual([undefined, ...Array(50).keys()]);
    expect((await stat(await only())).mode & 0o777).toBe(0o600);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    await journals.create({ type: 'begin' });
    expect(await readdir(folder)).toHaveLength(2);
  });

  it('are read again by a later run, which adds to them', async () => {
    const journals = journalsIn(folder);
    const first = await journals.create({ type: 'begin' });
    await first.append({ type: 'ack', index: 3 });
    await first.close();
    const second = await journals.open(first.id);
    expect(second?.entries).toEqual([{ type: 'begin' }, { type: 'ack', index: 3 }]);
    await second?.append({ type: 'commit' });
    await second?.close();
    expect((await journals.list())[0]).toMatchObject({
      id: first.id,
      busy: false,
      entries: [{ type: 'begin' }, { type: 'ack', index: 3 }, { type: 'commit' }],
    });
  });

  it('cut off a last line that a crash tore, wherever it was torn', async () => {
    const journals = journalsIn(folder);
    const line = `${JSON.stringify({ type: 'ack', text: 'ä€' })}\n`;
    const bytes = Buffer.from(line);
    for (let length = 0; length < bytes.length; length++) {
      const journal = await journals.create({ type: 'begin' });
      await journal.close();
      await appendFile(join(folder, `${journal.id}.ndjson`), bytes.subarray(0, length));
      const again = await journals.open(journal.id);
      expect(again?.entries).toEqual([{ type: 'begin' }]);
      await again?.append({ type: 'next' });
      await again?.close();
      expect((await journals.list()).find(({ id }) => id === journal.id)?.entries).toEqual([
        { type: 'begin' },
        { type: 'next' },
      ]);
      await journals.drop(journal.id);
    }
  });

  it('trust nothing behind a line that is damaged', async () => {
    const journals = journalsIn(folder);
    const journal = await journals.create({ type: 'begin' });
    await journal.close();
    await appendFile(join(folder, `${journal.id}.ndjson`), '{"type":\n{"type":"ack"}\n[1]\n');
    expect((await journals.open(journal.id))?.entries).toEqual([{ type: 'begin' }]);
  });

  it('belong to one process at a time, and to nobody when that is gone', async () => {
    const journals = journalsIn(folder);
    const journal = await journals.create({ type: 'begin' });
    expect(await journals.open(journal.id)).toBeNull();
    expect(await journals.drop(journal.id)).toBe(false);
    expect((await journals.list())[0]).toMatchObject({ busy: true });
    // A process that was killed.
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    const started = (pid: number | undefined) =>
      readFile(`/proc/${pid}/stat`, 'latin1').then(
        (text) => text.slice(text.lastIndexOf(')') + 2).split(' ')[19],
      );
    const owned = join(folder, `${journal.id}.${child.pid}-${await started(child.pid)}.ndjson`);
    await rename(await only(), owned);
    expect(await journals.open(journal.id)).toBeNull();
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await ended;
    expect((await journals.open(journal.id))?.entries).toEqual([{ type: 'begin' }]);
  });

  it('are not taken for those of another process that has the same number', async () => {
    const journals = journalsIn(folder);
    const journal = await journals.create({ type: 'begin' });
    await rename(await only(), join(folder, `${journal.id}.${process.pid}-1.ndjson`));
    expect((await journals.open(journal.id))?.entries).toHaveLength(1);
  });

  it('can be taken over by one of two who try at once', async () => {
    const journal = await journalsIn(folder).create({ type: 'begin' });
    await journal.close();
    const opened = await Promise.all([1, 2, 3].map(() => journalsIn(folder).open(journal.id)));
    expect(opened.filter((each) => each !== null)).toHaveLength(1);
  });

  it('leave nothing when they are dropped, and nobody else’s file is touched', async () => {
    const journals = journalsIn(folder);
    const journal = await journals.create({ type: 'begin' });
    await writeFile(join(folder, 'notes.txt'), 'mine');
    await writeFile(join(folder, 'x.ndjson'), 'mine');
    expect(await journals.list()).toHaveLength(1);
    await journal.drop();
    expect((await readdir(folder)).sort()).toEqual(['notes.txt', 'x.ndjson']);
    expect(await journals.open('../../../etc/passwd')).toBeNull();
    expect(await journals.drop('nothing0')).toBe(false);
  });

  const blocksOf = async (journal: TransferJournal | null): Promise<string[]> => {
    const texts: string[] = [];
    for await (const block of journal?.blocks() ?? []) texts.push(Buffer.from(block).toString());
    return texts;
  };

  it('keep blocks beside the entries, for the next run, until they are dropped', async () => {
    const journals = journalsIn(folder);
    const journal = await journals.create({ type: 'begin' }, { durable: false });
    expect(await blocksOf(journal)).toEqual([]);
    await Promise.all(['a', '', 'ccc'].map((text) => journal.appendBlock(Buffer.from(text))));
    await journal.append({ type: 'ack' });
    await journal.close();
    const again = await journals.open(journal.id);
    expect(again?.entries).toHaveLength(2);
    await again?.appendBlock(Buffer.from('next'));
    expect(await blocksOf(again)).toEqual(['a', '', 'ccc', 'next']);
    const path = join(folder, `${journal.id}.blocks`);
    const { size, mode } = await stat(path);
    expect(mode & 0o777).toBe(0o600);
    expect((await journals.list())[0]?.diskBytes).toBeGreaterThan(size);
    await again?.close();
    expect(await journals.drop(journal.id)).toBe(true);
    expect(await readdir(folder)).toEqual([]);
    const other = await journals.create({ type: 'begin' });
    await other.appendBlock(Buffer.from('x'));
    await other.drop();
    expect(await readdir(folder)).toEqual([]);
  });

  it('end their blocks where a crash tore one or the disk damaged it, and go on from there', async () => {
    const journals = journalsIn(folder);
    const first = await journals.create({ type: 'begin' });
    await first.appendBlock(Buffer.from('first'));
    await first.appendBlock(Buffer.from('second'));
    await first.close();
    const path = join(folder, `${first.id}.blocks`);
    const whole = await readFile(path);
    const second = whole.length / 2;
    const cases: [Buffer, string[]][] = [];
    for (let length = 0; length < whole.length; length++) {
      cases.push([whole.subarray(0, length), length < 17 ? [] : ['first']]);
    }
    for (let at = 0; at < whole.length; at++) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ 0x41;
      cases.push([damaged, at < 17 ? [] : ['first']]);
    }
    expect(second).toBe(17.5);
    for (const [bytes, expected] of cases) {
      await writeFile(path, bytes);
      const journal = await journals.open(first.id);
      expect(await blocksOf(journal)).toEqual(expected);
      await journal?.appendBlock(Buffer.from('next'));
      expect(await blocksOf(journal)).toEqual([...expected, 'next']);
      await journal?.close();
    }
  });

  it('say so when a block cannot be written', async () => {
    const journal = await journalsIn(folder).create({ type: 'begin' });
    await mkdir(join(folder, `${journal.id}.blocks`));
    await expect(journal.appendBlock(Buffer.from('x'))).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
    });
    await rm(join(folder, `${journal.id}.blocks`), { recursive: true });
  });

  it('are none where there is no folder, and a folder that cannot be made is an error with its path', async () => {
    expect(await journalsIn(folder).list()).toEqual([]);
    const failing = journalsIn('/proc/none/journals').create({ type: 'begin' });
    await expect(failing).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  });

  it('lie where the specification of state folders says', () => {
    expect(defaultJournalFolder({ XDG_STATE_HOME: '/s', HOME: '/h' })).toBe(
      '/s/orbweaver/transfers',
    );
    expect(defaultJournalFolder({ HOME: '/h' })).toBe('/h/.local/state/orbweaver/transfers');
    expect(defaultJournalFolder({ XDG_STATE_HOME: 'relative', HOME: '/h' })).toBe(
      '/h/.local/state/orbweaver/transfers',
    );
  });
});
