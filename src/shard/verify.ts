import { OrbweaverError } from '../errors.js';
import { XORB_CHUNKS_ACCEPT_MAX } from './constants.js';
import { HashTable } from './hash-table.js';
import type { Shard, ShardFile, ShardXorb } from './types.js';

/**
 * Checks what a shard says about itself: each xorb has chunks, its offsets and sum follow from the
 * lengths; verification is there for all files or none and once per term; terms that name a xorb
 * of this shard lie in it and have its bytes.
 * @throws OrbweaverError `FORMAT_INVALID`, `LIMIT_EXCEEDED`
 *
 * @example
 * verifyShard(decodeShard(bytes)); // throws, or the shard is consistent
 */
export function verifyShard(shard: Shard): void {
  const numbers = new HashTable();
  for (const xorb of shard.xorbs) {
    numbers.add(xorb.hash.bytes, 0);
    verifyXorbEntries(xorb);
  }
  const first = shard.files[0];
  for (const file of shard.files) {
    const name = file.hash.toString();
    if ((file.verification === null) !== (first?.verification === null)) {
      throw invalid('"verification" expected for all files or none, got a mixture', { file: name });
    }
    checkVerificationCount(file);
    if (file.terms.length === 0 && !file.hash.isZero()) {
      throw invalid(`"terms" expected for file ${name}, got none`, { file: name });
    }
    for (const [i, term] of file.terms.entries()) {
      if (term.chunkStart >= term.chunkEnd) throw emptyTerm(name, i);
      const xorb = shard.xorbs[numbers.indexOf(term.xorb.bytes, 0)];
      if (xorb !== undefined) checkTerm(file, i, xorb);
    }
  }
}

function verifyXorbEntries(xorb: ShardXorb): void {
  const name = xorb.hash.toString();
  const count = xorb.chunkLengths.length;
  if (count === 0 || xorb.hash.isZero()) {
    throw invalid(`"chunk count" expected at least 1 in xorb ${name}, got ${count}`, {
      xorb: name,
    });
  }
  if (count > XORB_CHUNKS_ACCEPT_MAX) {
    throw new OrbweaverError(
      'LIMIT_EXCEEDED',
      `"chunk count" expected at most ${XORB_CHUNKS_ACCEPT_MAX} in xorb ${name}, got ${count}`,
      { xorb: name, count },
    );
  }
  let position = 0;
  for (let i = 0; i < count; i++) {
    if (xorb.chunkStarts[i] !== position) {
      throw invalid(
        `"chunk offset" expected ${position} for chunk ${i} of xorb ${name}, got ${xorb.chunkStarts[i]}`,
        { xorb: name, chunk: i },
      );
    }
    position += xorb.chunkLengths[i] as number;
  }
  if (xorb.rawBytes !== position) {
    throw invalid(`"raw bytes" expected ${position} in xorb ${name}, got ${xorb.rawBytes}`, {
      xorb: name,
    });
  }
}

function checkVerificationCount(file: ShardFile): void {
  const count = file.verification?.length ?? file.terms.length;
  if (count !== file.terms.length) {
    throw invalid(
      `"verification" expected ${file.terms.length} hashes for file ${file.hash}, got ${count}`,
      { file: file.hash.toString() },
    );
  }
}

/** Term `i` lies in `xorb` and has as many bytes as its chunks. */
function checkTerm(file: ShardFile, i: number, xorb: ShardXorb): void {
  const term = file.terms[i];
  const name = file.hash.toString();
  const count = xorb.chunkLengths.length;
  if (term === undefined || term.chunkStart >= term.chunkEnd) throw emptyTerm(name, i);
  if (term.chunkEnd > count) {
    throw invalid(
      `"chunk end" of term ${i} of file ${name} expected at most ${count}, got ${term.chunkEnd}`,
      { file: name, term: i },
    );
  }
  let bytes = 0;
  for (let chunk = term.chunkStart; chunk < term.chunkEnd; chunk++) {
    bytes += xorb.chunkLengths[chunk] as number;
  }
  if (bytes !== term.unpackedBytes) {
    throw invalid(
      `"unpacked bytes" of term ${i} of file ${name} expected ${bytes}, got ${term.unpackedBytes}`,
      { file: name, term: i },
    );
  }
}

function emptyTerm(file: string, term: number): OrbweaverError {
  return invalid(`"chunk end" of term ${term} of file ${file} expected after its start`, {
    file,
    term,
  });
}

function invalid(message: string, fields: Record<string, string | number>): OrbweaverError {
  return new OrbweaverError('FORMAT_INVALID', message, fields);
}
