import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the native client says of one file. */
export interface NativeFile {
  readonly hash: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface NativeTarget {
  readonly endpoint: string;
  readonly token: string;
}

const DRIVER = fileURLToPath(new URL('./driver.py', import.meta.url));

/** The interpreter that `scripts/interop.mjs` prepared. */
export function pythonPath(): string {
  const path = process.env['ORBWEAVER_INTEROP_PYTHON'];
  if (path === undefined) throw new Error('run these tests with: npm run test:interop');
  return path;
}

/** Uploads with the native client, with caches of its own that start empty. */
export async function nativeUpload(
  target: NativeTarget,
  paths: readonly string[],
): Promise<NativeFile[]> {
  return (await drive({ ...target, upload: paths })) as NativeFile[];
}

/** Downloads with the native client. */
export async function nativeDownload(
  target: NativeTarget,
  files: readonly { hash: string; sizeBytes: number; path: string }[],
): Promise<void> {
  await drive({ ...target, download: files });
}

async function drive(request: object): Promise<unknown[]> {
  const home = await mkdtemp(join(tmpdir(), 'orbweaver-native-'));
  try {
    const answer = await new Promise<string>((resolve, reject) => {
      const child = execFile(
        pythonPath(),
        [DRIVER],
        {
          timeout: 100_000,
          env: {
            PATH: process.env['PATH'],
            HF_HOME: join(home, 'home'),
            HF_XET_CACHE: join(home, 'cache'),
            HF_HUB_DISABLE_TELEMETRY: '1',
          },
        },
        (error, stdout, stderr) =>
          error ? reject(new Error(`native client: ${stderr || error.message}`)) : resolve(stdout),
      );
      child.stdin?.end(JSON.stringify(request));
    });
    return (JSON.parse(answer) as { files: unknown[] }).files;
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}
