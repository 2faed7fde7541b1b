// Interoperation with the native client and with the clients of the Hub, pinned: makes a virtual
// environment and a folder of npm under .cache/, installs them there and runs test/interop with them.
// Without Python the suite is skipped, and the parts of clients that cannot be had, with the reason.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE = 'hf_xet==1.8.0';
const HUB_PYTHON = 'huggingface_hub==2.4.0';
const HUB_NPM = '@huggingface/hub@2.17.5';
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const folder = join(root, '.cache', 'interop');
const windows = process.platform === 'win32';
const python = join(folder, windows ? 'Scripts/python.exe' : 'bin/python');

const run = (command, args, options = {}) =>
  spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });

const works = () =>
  existsSync(python) &&
  run(python, ['-c', 'import hf_xet; hf_xet.XetSession'], { stdio: 'ignore' }).status === 0;

if (!works()) {
  const system = ['python3', 'python'].find(
    (name) =>
      run(name, ['-c', 'import sys, venv; assert sys.version_info >= (3, 8)'], { stdio: 'ignore' })
        .status === 0,
  );
  if (system === undefined) {
    console.log(
      'interop: skipped, because there is no Python 3.8 or later with venv on this machine',
    );
    process.exit(0);
  }
  mkdirSync(folder, { recursive: true });
  const made = run(system, ['-m', 'venv', '--clear', folder]);
  if (made.status !== 0) {
    console.log('interop: skipped, because this Python cannot make a virtual environment');
    process.exit(0);
  }
  const installed = run(python, [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    PACKAGE,
  ]);
  if (installed.status !== 0 || !works()) {
    console.error(`interop: ${PACKAGE} could not be installed`);
    process.exit(1);
  }
}

const hasPythonHub = () =>
  run(python, ['-c', 'import huggingface_hub'], { stdio: 'ignore' }).status === 0;
if (!hasPythonHub()) {
  run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', HUB_PYTHON]);
}
const npmFolder = join(folder, 'npm');
const npmHub = join(npmFolder, 'node_modules', '@huggingface', 'hub', 'dist', 'index.mjs');
if (!existsSync(npmHub)) {
  mkdirSync(npmFolder, { recursive: true });
  const install = [
    'install',
    '--prefix',
    npmFolder,
    '--no-save',
    '--no-audit',
    '--no-fund',
    HUB_NPM,
  ];
  run(windows ? 'npm.cmd' : 'npm', install, { shell: windows });
}
const hubClients = {
  ...(hasPythonHub() ? { ORBWEAVER_INTEROP_HUB_PYTHON: python } : {}),
  ...(existsSync(npmHub) ? { ORBWEAVER_INTEROP_HUB_NPM: npmHub } : {}),
};

// The S3 server that scripts/s3.mjs has built, if it has.
const server = readdirSync(join(root, '.cache')).find((name) => name.startsWith('versitygw-'));
const s3 = server === undefined ? {} : { ORBWEAVER_S3_SERVER: join(root, '.cache', server) };
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const env = { ...process.env, ...hubClients, ...s3, ORBWEAVER_INTEROP_PYTHON: python };
const test = (args, more = {}) =>
  run(process.execPath, [vitest, 'run', '--config', 'vitest.interop.config.ts', ...args], {
    env: { ...env, ...more },
  }).status ?? 1;

const given = process.argv.slice(2);
let status = test(given);
// The stock clients of the Hub once more, over a bucket.
if (status === 0 && given.length === 0 && env.ORBWEAVER_INTEROP_HUB_STORE === undefined) {
  if (env.ORBWEAVER_S3_SERVER === undefined) {
    console.log('interop: skipped over a bucket, because "npm run test:s3" has built no S3 server');
  } else {
    status = test(['test/interop/hub.test.ts'], { ORBWEAVER_INTEROP_HUB_STORE: 's3' });
  }
}
process.exit(status);
