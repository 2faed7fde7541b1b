// Writes seeded pseudo-random bytes to standard output, for streams that are stored nowhere:
//
//   node bench/generate.mjs 5368709120 | /usr/bin/time -v node dist/cli/main.js upload - --json
//
// Usage: generate.mjs BYTES [SEED]
import { once } from 'node:events';
import { createBlockMaker } from 'orbweaver/bench';

const [bytesText, seedText = '1'] = process.argv.slice(2);
const sizeBytes = Number(bytesText);
if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
  console.error('generate.mjs expected BYTES [SEED]');
  process.exit(2);
}
const make = createBlockMaker('random', Number(seedText));
for (let left = sizeBytes; left > 0; ) {
  const block = new Uint8Array(1 << 20);
  make(block);
  const piece = left < block.length ? block.subarray(0, left) : block;
  left -= piece.length;
  if (!process.stdout.write(piece)) await once(process.stdout, 'drain');
}
