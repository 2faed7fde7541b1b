// The pairs of files of bench/placement.mjs, and what is new in the second of each.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createBlockMaker } from '../../dist/bench/index.js';
import { createRecordPacker } from '../../dist/formats.js';
import { chunkInput, loadKernels } from '../../dist/index.js';

const ROWS = 50_000;
const ROW_BYTES = 4096;

/** fp32 around 0 with deviation 0.02, one row after another. */
async function writeCheckpoint(path) {
  const make = createBlockMaker('fp32', 7);
  const rows = new Uint8Array(ROW_BYTES * 1000);
  const file = await open(path, 'w');
  for (let row = 0; row < ROWS; row += 1000) {
    make(rows);
    await file.write(rows);
  }
  await file.close();
}

/**
 * `make` writes both files into a folder and returns their paths, or why it cannot. Pairs with
 * `session` are uploaded in one session, the others one version after the other.
 */
export const PAIRS = {
  rows: {
    title: '500 of 50,000 rows changed, fp32',
    async make(folder) {
      const first = join(folder, 'checkpoint');
      if (!existsSync(first)) await writeCheckpoint(first);
      const bytes = new Uint8Array(await readFile(first));
      const values = new Float32Array(bytes.buffer);
      const next = draws(8);
      const rows = new Set();
      while (rows.size < 500) rows.add(next() % ROWS);
      for (const row of rows) {
        for (let i = row * 1024; i < (row + 1) * 1024; i++) values[i] += 0.001;
      }
      return { first, second: await written(join(folder, 'rows'), bytes) };
    },
  },
  'rows-head': {
    title: 'the same, and the first bytes',
    make: (folder) => withNewHead(folder, 'rows'),
  },
  inserts: {
    title: '37 bytes inserted at 200 places, fp32',
    async make(folder) {
      const first = join(folder, 'checkpoint');
      if (!existsSync(first)) await writeCheckpoint(first);
      const bytes = await readFile(first);
      const next = draws(9);
      const places = Array.from({ length: 200 }, () => next() % bytes.length).sort((a, b) => a - b);
      const pieces = [];
      let from = 0;
      for (const place of places) {
        pieces.push(
          bytes.subarray(from, place),
          Uint8Array.from({ length: 37 }, () => next()),
        );
        from = place;
      }
      pieces.push(bytes.subarray(from));
      return { first, second: await written(join(folder, 'inserts'), Buffer.concat(pieces)) };
    },
  },
  'inserts-head': {
    title: 'the same, and at the beginning',
    make: (folder) => withNewHead(folder, 'inserts'),
  },
  release: {
    title: 'numpy 2.4.4, then 2.4.5, unpacked',
    async make(folder, python) {
      if (python === null) return { skipped: 'no Python: set ORBWEAVER_BENCH_PYTHON' };
      const [first, second] = ['2.4.4', '2.4.5'].map((version) => {
        const target = join(folder, `numpy-${version}.tar`);
        const made = spawnSync(python, ['-c', UNPACK, version, join(folder, version), target], {
          encoding: 'utf8',
        });
        return made.status === 0 ? target : { skipped: made.stderr.trim().split('\n').pop() };
      });
      return first.skipped || second.skipped ? (first.skipped ? first : second) : { first, second };
    },
  },
  twice: {
    title: 'the same file twice',
    session: true,
    async make(folder) {
      const first = await random(join(folder, 'once'));
      return { first, second: await written(join(folder, 'twice'), await readFile(first)) };
    },
  },
  edited: {
    title: 'a copy with 100 bytes inserted',
    session: true,
    async make(folder) {
      const first = await random(join(folder, 'once'));
      const bytes = await readFile(first);
      const middle = bytes.length >> 1;
      const edit = Uint8Array.from({ length: 100 }, (_, i) => i);
      const pieces = [bytes.subarray(0, middle), edit, bytes.subarray(middle)];
      return { first, second: await written(join(folder, 'edited'), Buffer.concat(pieces)) };
    },
  },
};

/** Downloads a wheel and writes its members one after another as a tar without times. */
const UNPACK = `
import sys, os, io, glob, tarfile, zipfile, subprocess
version, folder, target = sys.argv[1:]
if os.path.exists(target): sys.exit(0)
subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:",
                "-d", folder, "numpy==" + version], check=True, stdout=subprocess.DEVNULL)
with zipfile.ZipFile(glob.glob(folder + "/numpy-*.whl")[0]) as wheel, tarfile.open(target, "w") as tar:
    for name in sorted(wheel.namelist()):
        data = wheel.read(name)
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
`;

/** The pair `name` with another first chunk: what a server can always be asked for is new then. */
async function withNewHead(folder, name) {
  const { first, second } = await PAIRS[name].make(folder);
  const bytes = await readFile(second);
  bytes.fill(0x5a, 0, 100);
  return { first, second: await written(`${second}-head`, bytes) };
}

async function written(path, bytes) {
  await writeFile(path, bytes);
  return path;
}

/** Seeded draws of 32 bits. */
function draws(seed) {
  const make = createBlockMaker('random', seed);
  const words = new Uint32Array(256);
  let at = words.length;
  return () => {
    if (at === words.length) {
      make(new Uint8Array(words.buffer));
      at = 0;
    }
    return words[at++];
  };
}

async function random(path) {
  const bytes = new Uint8Array(100_000_000);
  createBlockMaker('random', 10)(bytes);
  return written(path, bytes);
}

/** Bytes of the records of all chunks of `paths` that none of `known` has, each counted once. */
export async function newBytes(paths, known) {
  const { codec } = await loadKernels();
  const packer = createRecordPacker({ codec, policy: 'auto' });
  const seen = new Set();
  for (const path of known) for (const { hash } of (await chunkInput(path)).chunks) seen.add(hash);
  const target = new Uint8Array(131_072 + 8);
  const recordLength = new Uint32Array(1);
  let rawBytes = 0;
  let recordBytes = 0;
  let chunkCount = 0;
  for (const path of paths) {
    const bytes = await readFile(path);
    for (const { hash, offset, length } of (await chunkInput(path)).chunks) {
      if (seen.has(hash)) continue;
      seen.add(hash);
      chunkCount++;
      rawBytes += length;
      const starts = Uint32Array.of(0);
      const chunk = bytes.subarray(offset, offset + length);
      recordBytes += packer.pack(chunk, starts, Uint32Array.of(length), target, 0, recordLength);
    }
  }
  return { chunkCount, rawBytes, recordBytes };
}
