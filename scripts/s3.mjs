// The suites that need an S3 service: builds a small versitygw, pinned, into .cache/ (once: about a minute
// of processor time, a few seconds where Go has built it before), and runs test/s3 with it. Without Go, or
// without a network for it, the suites are skipped, with the reason.
//
//   node scripts/s3.mjs [VITEST ARGUMENTS]
//
// Another server is named by its program and its kind, which says how it is started (test/s3/support):
//
//   ORBWEAVER_S3_SERVER=/path/to/minio ORBWEAVER_S3_KIND=minio node scripts/s3.mjs
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = '1.8.0';
const MODULE = `github.com/versity/versitygw@v${VERSION}`;
/** What answers S3 requests over a folder, of the packages of versitygw. */
const KEPT = ['auth', 'backend', 'debuglogger', 'internal', 'metrics', 's3api', 's3err'].concat([
  's3event',
  's3log',
  's3response',
  's3select',
  'webui',
]);
/** Ways to know accounts, to send events and to count: half of what its own program takes to build. */
const LEFT_OUT = [
  ...['ipa', 'ldap', 's3_object', 'standalone', 'vault'].map((name) => `auth/iam_${name}.go`),
  ...['kafka', 'nats', 'rabbitmq'].map((name) => `s3event/${name}.go`),
  ...['dogstats', 'statsd'].map((name) => `metrics/${name}.go`),
];

const scripts = dirname(fileURLToPath(import.meta.url));
const root = join(scripts, '..');
const other = process.env.ORBWEAVER_S3_SERVER;
const server = other ?? join(root, '.cache', `versitygw-${VERSION}-posix`);

if (!existsSync(server)) {
  if (other !== undefined)
    throw new Error(`ORBWEAVER_S3_SERVER expected a program, got "${other}"`);
  const reason = build();
  if (reason !== null) {
    console.log(`s3: skipped, because ${reason}`);
    process.exit(0);
  }
}
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const result = spawnSync(
  process.execPath,
  [vitest, 'run', '--config', 'vitest.s3.config.ts', ...process.argv.slice(2)],
  { cwd: root, stdio: 'inherit', env: { ...process.env, ORBWEAVER_S3_SERVER: server } },
);
process.exit(result.status ?? 1);

/** Null when it is there now, else why not. */
function build() {
  if (process.platform === 'win32') return 'versitygw is not built on Windows';
  const go = ['go', '/usr/local/go/bin/go'].find(
    (name) => spawnSync(name, ['version'], { stdio: 'ignore' }).status === 0,
  );
  if (go === undefined) return 'there is no Go on this machine to build an S3 server with';
  const source = join(root, '.cache', 's3-source');
  rmSync(source, { recursive: true, force: true });
  mkdirSync(source, { recursive: true });
  const env = { ...process.env, GOFLAGS: '' };
  const fetched = spawnSync(go, ['mod', 'download', '-json', MODULE], {
    cwd: source,
    env,
    encoding: 'utf8',
  });
  if (fetched.status !== 0) return `${MODULE} could not be fetched`;
  lay(JSON.parse(fetched.stdout).Dir, source);
  console.log(`s3: building ${MODULE} with its POSIX backend only`);
  // Not optimised: building is what takes time here, not what it serves.
  const flags = ['-trimpath', '-gcflags=all=-N -l', '-ldflags=-s -w'];
  const made = spawnSync(go, ['build', ...flags, '-o', server, './cmd/bucket'], {
    cwd: source,
    stdio: 'inherit',
    env,
  });
  rmSync(source, { recursive: true });
  return made.status === 0 ? null : `${MODULE} could not be built`;
}

/** The source of our server: parts of versitygw's, and `s3-server/` over them. */
function lay(from, source) {
  const isCode = (path) => !path.endsWith('_test.go');
  for (const name of ['go.mod', 'go.sum', ...KEPT]) {
    cpSync(join(from, name), join(source, name), { recursive: true, filter: isCode });
  }
  // The module cache is read-only, and so are copies of it.
  chmodSync(source, 0o755);
  for (const name of readdirSync(source, { recursive: true })) chmodSync(join(source, name), 0o755);
  for (const name of LEFT_OUT) rmSync(join(source, name));
  cpSync(join(scripts, 's3-server'), source, { recursive: true });
}
