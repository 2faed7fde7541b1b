import { spawn } from 'node:child_process';
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import type { Contender, Probe } from './contender.js';
import { NATIVE_DRIVER } from './native-driver.js';

const CHECK = `import importlib.metadata, hf_xet
hf_xet.XetSession
print(importlib.metadata.version("hf_xet"))`;

/** The native client, through its Python package. `folder` takes the driver script. */
export function createNativeContender(folder: string, python: string | undefined): Contender {
  const script = join(folder, 'native-driver.py');
  let found: string | null = null;
  return {
    name: 'hf_xet',
    // No private-ca: it trusts the authorities it was built with, and tries again for minutes.
    abilities: ['chunk', 'upload', 'download', 'download-range'],
    probe: async (): Promise<Probe> => {
      const tried = await candidates(python);
      for (const candidate of tried) {
        const version = await versionIn(candidate);
        if (version === null) continue;
        await writeFile(script, NATIVE_DRIVER);
        found = candidate;
        return { found: true, version };
      }
      const where = tried.join(' or ');
      const reason = `${where} cannot import hf_xet; set ORBWEAVER_BENCH_PYTHON to one that can`;
      return { found: false, reason };
    },
    command: (work) => ({
      command: found ?? 'python3',
      args: [script],
      input: JSON.stringify(work),
    }),
  };
}

/** The interpreter that was named, or the usual places. */
async function candidates(python: string | undefined): Promise<string[]> {
  const named = python ?? process.env['ORBWEAVER_BENCH_PYTHON'];
  if (named !== undefined && named !== '') return [named];
  const windows = process.platform === 'win32';
  const interop = join(
    process.cwd(),
    '.cache',
    'interop',
    windows ? 'Scripts/python.exe' : 'bin/python',
  );
  const there = await access(interop).then(
    () => true,
    () => false,
  );
  return [...(there ? [interop] : []), windows ? 'python' : 'python3'];
}

/** The version of hf_xet that an interpreter can import; null for none. */
function versionIn(python: string): Promise<string | null> {
  return new Promise((resolve) => {
    const child = spawn(python, ['-c', CHECK], { stdio: ['ignore', 'pipe', 'ignore'] });
    let out = '';
    child.stdout.on('data', (piece: Buffer) => {
      out += piece.toString('utf8');
    });
    child.once('error', () => resolve(null));
    child.once('close', (code) => resolve(code === 0 ? out.trim() : null));
  });
}
