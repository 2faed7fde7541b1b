// `npm run bench`: the command line's `bench` on the fresh build. Options and scenarios: bench/README.md.
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const main = new URL('../dist/cli/main.js', import.meta.url);
process.argv.splice(1, 1, fileURLToPath(main), 'bench');
await import(main.href);
