import { OrbweaverError } from '../../errors.js';
import { createMerkleTree, type MerkleHash } from '../../hash/index.js';
import type { PlannedFetch } from '../../plan/index.js';
import type { Block, Transfer } from './block.js';
import { LedgerChain, unprovenFetches } from './chunk-ledger.js';
import { runBlock } from './run-block.js';

/**
 * Called when everything is written and the file hash is another one: a bit was flipped on the wire or
 * in the store, in bytes that decode to something. The reconstruction has no chunk hashes, so the place
 * is not known. But xorbs that are used whole prove themselves by their own hash. All other ranges are
 * fetched once more: chunks that differ now were damaged on the wire, and are written again.
 *
 * A stream has passed its bytes on; there the ranges that may be damaged are only named.
 *
 * @param got the hash of what was written
 * @throws OrbweaverError `INTEGRITY` when that does not help, naming the xorb and its chunks
 */
export async function repair(
  transfer: Transfer,
  concurrency: number,
  got: MerkleHash,
): Promise<void> {
  const { fileHash, hasher, sink } = transfer.options;
  const { kept } = transfer;
  const suspects = kept.map((block) =>
    block.ledger === null ? [] : unprovenFetches(block.plan, block.ledger, hasher),
  );
  const keptBytes = kept.reduce((sum, { plan }) => sum + plan.outputBytes, 0);
  if (!sink.positional || keptBytes < transfer.counters.writtenBytes) {
    throw notTheFile(transfer, got, suspects.flat());
  }
  const changed: PlannedFetch[] = [];
  for (const [i, block] of kept.entries()) {
    const rewrite = suspects[i] as PlannedFetch[];
    if (block.ledger === null || rewrite.length === 0) continue;
    const before = block.ledger.copy();
    await runBlock(transfer, block, { concurrency, rewrite, onWritten: () => {} });
    const { ledger } = block;
    changed.push(...rewrite.filter((fetch) => ledger.differs(before, fetch)));
  }
  const rebuilt = changed.length === 0 ? got : hashOf(transfer, kept);
  if (rebuilt.equals(fileHash)) return;
  throw notTheFile(transfer, rebuilt, changed.length > 0 ? changed : suspects.flat());
}

function hashOf({ options, newTree }: Transfer, blocks: readonly Block[]): MerkleHash {
  const tree = newTree?.() ?? createMerkleTree(options.hasher);
  const chain = new LedgerChain(tree);
  for (const { ledger, reconstruction } of blocks) {
    if (ledger === null) continue;
    const dropBytes = reconstruction.offsetIntoFirstTerm;
    chain.append(ledger, { dropBytes, untilBytes: Number.POSITIVE_INFINITY });
  }
  return tree.fileHash();
}

function notTheFile(
  { options }: Transfer,
  got: MerkleHash,
  suspects: readonly PlannedFetch[],
): OrbweaverError {
  const expected = options.fileHash.toString();
  const text = `"file hash" expected ${expected}, got ${got}`;
  const first = suspects[0];
  const range = first?.ranges[0];
  if (first === undefined || range === undefined) {
    return new OrbweaverError('INTEGRITY', text, { expected, got: got.toString() });
  }
  const { chunkStart } = range;
  const chunkEnd = first.ranges.at(-1)?.chunkEnd ?? range.chunkEnd;
  const xorb = first.xorb.toString();
  const where =
    suspects.length === 1
      ? `damaged in xorb ${xorb} chunks [${chunkStart}, ${chunkEnd})`
      : `damaged in one of ${suspects.length} ranges, the first is xorb ${xorb} chunks [${chunkStart}, ${chunkEnd})`;
  return new OrbweaverError('INTEGRITY', `${text}; ${where}`, {
    expected,
    got: got.toString(),
    xorb,
    chunkStart,
    chunkEnd,
    suspectCount: suspects.length,
  });
}
