import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';

/** A real S3 service with one bucket, in a folder that goes with it: see scripts/s3.mjs. */
export interface S3Server {
  readonly endpoint: string;
  readonly bucket: string;
  /** Where the bucket lies, if its objects are plain files there; else null. */
  readonly folder: string | null;
  /** What the AWS SDK is to find in the environment. */
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

const BUCKET = 'bucket';
const ACCESS_KEY = 'test-access-key';
const SECRET_KEY = 'test-secret-key';
const START_TRIES = 5;

/** How a server is started: its arguments, and how it learns who may ask. */
interface Kind {
  readonly args: (port: number, data: string) => readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const KINDS: Readonly<Record<string, Kind>> = {
  versitygw: {
    args: (port, data) => [`127.0.0.1:${port}`, data],
    env: { ROOT_ACCESS_KEY_ID: ACCESS_KEY, ROOT_SECRET_ACCESS_KEY: SECRET_KEY },
  },
  minio: {
    args: (port, data) => ['server', '--quiet', '--address', `127.0.0.1:${port}`, data],
    env: {
      MINIO_ROOT_USER: ACCESS_KEY,
      MINIO_ROOT_PASSWORD: SECRET_KEY,
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
    },
  },
  moto: { args: (port) => ['-H', '127.0.0.1', '-p', String(port)], env: {} },
};

export async function startS3Server(): Promise<S3Server> {
  const { ORBWEAVER_S3_SERVER: program, ORBWEAVER_S3_KIND: name = 'versitygw' } = process.env;
  if (program === undefined) throw new Error('run it by "npm run test:s3"');
  const kind = KINDS[name];
  if (kind === undefined) {
    throw new Error(`ORBWEAVER_S3_KIND expected one of ${Object.keys(KINDS).join(', ')}`);
  }
  const folder = await mkdtemp(join(tmpdir(), 'orbweaver-s3-'));
  await mkdir(join(folder, 'data'));
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    const child = spawn(program, kind.args(port, join(folder, 'data')), {
      stdio: 'ignore',
      env: { ...process.env, ...kind.env },
    });
    // Somebody else may have got the port meanwhile.
    if (!(await listens(port, child)) && tries < START_TRIES) continue;
    const endpoint = `http://127.0.0.1:${port}`;
    await makeBucket(endpoint);
    return {
      endpoint,
      bucket: BUCKET,
      folder: name === 'versitygw' ? join(folder, 'data', BUCKET) : null,
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

/** A client that asks the service past the store. */
export function bareClient(endpoint: string): S3Client {
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
  return new S3Client({
    endpoint,
    forcePathStyle: true,
    region: 'us-east-1',
    credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
    // Some take connections before they take requests.
    maxAttempts: 10,
  });
}

async function makeBucket(endpoint: string): Promise<void> {
  const client = bareClient(endpoint);
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  client.destroy();
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
