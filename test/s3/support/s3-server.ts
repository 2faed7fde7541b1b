import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real S3 service with one bucket, in a folder that goes with it: versitygw, built by scripts/s3.mjs. */
export interface S3Server {
  readonly endpoint: string;
  readonly bucket: string;
  /** Where the bucket lies. */
  readonly folder: string;
  /** What the AWS SDK is to find in the environment. */
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

const BUCKET = 'bucket';
const ACCESS_KEY = 'test-access-key';
const SECRET_KEY = 'test-secret-key';
const START_TRIES = 5;

export async function startS3Server(): Promise<S3Server> {
  const program = process.env['ORBWEAVER_S3_SERVER'];
  if (program === undefined) throw new Error('run it by "npm run test:s3"');
  const folder = await mkdtemp(join(tmpdir(), 'orbweaver-s3-'));
  await mkdir(join(folder, 'data', BUCKET), { recursive: true });
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    const child = spawn(program, [`127.0.0.1:${port}`, join(folder, 'data')], {
      stdio: 'ignore',
      env: { ...process.env, ROOT_ACCESS_KEY_ID: ACCESS_KEY, ROOT_SECRET_ACCESS_KEY: SECRET_KEY },
    });
    // Somebody else may have got the port meanwhile.
    if (!(await listens(port, child)) && tries < START_TRIES) continue;
    return {
      endpoint: `http://127.0.0.1:${port}`,
      bucket: BUCKET,
      folder: join(folder, 'data', BUCKET),
      env: {
        AWS_ACCESS_KEY_ID: ACCESS_KEY,
        AWS_SECRET_ACCESS_KEY: SECRET_KEY,
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
      },
      async close() {
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
        await rm(folder, { recursive: true, force: true });
      },
    };
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** True when something takes connections; false when the process ended instead. */
async function listens(port: number, child: ChildProcess): Promise<boolean> {
  while (child.exitCode === null) {
    const socket = connect(port, '127.0.0.1');
    const connected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (connected) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}
