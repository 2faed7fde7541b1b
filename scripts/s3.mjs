// The suites that need an S3 service: builds versitygw, pinned, into .cache/ (once: some minutes), and
// runs test/s3 with it. Without Go, or without a network for it, the suites are skipped, with the reason.
//
//   node scripts/s3.mjs [VITEST ARGUMENTS]
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = '1.8.0';
const PACKAGE = `github.com/versity/versitygw/cmd/versitygw@v${VERSION}`;
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const server = join(root, '.cache', `versitygw-${VERSION}`);

if (!existsSync(server)) {
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
  const folder = join(root, '.cache', 'go-bin');
  mkdirSync(folder, { recursive: true });
  console.log(`s3: building ${PACKAGE}`);
  const made = spawnSync(go, ['install', '-trimpath', '-ldflags=-s -w', PACKAGE], {
    cwd: folder,
    stdio: 'inherit',
    env: { ...process.env, GOBIN: folder, GOFLAGS: '' },
  });
  if (made.status !== 0) return `${PACKAGE} could not be built, or not be fetched`;
  renameSync(join(folder, 'versitygw'), server);
  rmSync(folder, { recursive: true });
  return null;
}
