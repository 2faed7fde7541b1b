import { createStepMeter, type Sequence } from '../bytes/index.js';
import { isOrbweaverError } from '../errors.js';
import { type Body, piecesOf } from '../http/index.js';
import {
  createShardReader,
  FOOTER_BYTES,
  HashTable,
  PackedFiles,
  pushInSteps,
  SHARD_MAX_BYTES,
  type ShardEvent,
  type ShardFile,
  type ShardReader,
  type ShardXorb,
} from '../shard/index.js';
import type { BodyAccount } from './body-memory.js';
import { rejected } from './failures.js';
import { createYielder, inSteps } from './turns.js';

/** Reading an uploaded shard while it arrives. What it says is not believed yet: `shard-check.ts`. */

/** An uploaded shard; duplicates are gone. */
export interface UploadedShard {
  readonly files: Sequence<ShardFile>;
  readonly xorbs: readonly ShardXorb[];
  /** Whether files carry range hashes; null when there is no file with a term. */
  readonly verified: boolean | null;
}

/** Largest body that is read: the limit of the protocol, and the footer that some clients add. */
export const SHARD_BODY_MAX_BYTES: number = SHARD_MAX_BYTES + FOOTER_BYTES;

/** Memory for one byte of shard: the bytes that wait, and the objects that come of them. */
export const MEMORY_PER_SHARD_BYTE = 4;
/** Arrives before memory is asked for, and the steps in which it then grows. */
const GROWTH_BYTES = 64 * 1024;

/**
 * Reads the body to its end, footer and lookup tables included, and keeps what is in the two
 * sections; memory is taken as it comes. `onEntries` is told how many files and xorbs there are so far.
 *
 * @throws OrbweaverError 400 for anything that is no shard; what reading the body throws
 */
export async function receiveShard(
  body: Body | null,
  account: BodyAccount,
  onEntries: (count: number) => void = () => undefined,
): Promise<UploadedShard> {
  const reader = createShardReader({ footer: 'ignore' });
  const intake = createIntake();
  const yieldAfter = createYielder(GROWTH_BYTES);
  let received = 0;
  for await (const piece of piecesOf(body)) {
    received += piece.length;
    if (received > GROWTH_BYTES) {
      await account.grow(Math.ceil(received / GROWTH_BYTES) * GROWTH_BYTES * MEMORY_PER_SHARD_BYTE);
    }
    // A piece is what a socket gives, or a body that an embedder has as a whole.
    await parsing(() => inSteps(takeInSteps(reader, intake, piece)));
    onEntries(intake.files.length + intake.xorbs.length);
    await yieldAfter(piece.length);
  }
  await parsing(async () => reader.finish().forEach(intake.take));
  return { files: intake.files, xorbs: intake.xorbs, verified: intake.verified() };
}

function* takeInSteps(reader: ShardReader, intake: Intake, piece: Uint8Array): Generator<void> {
  const events = yield* pushInSteps(reader, piece);
  const isDue = createStepMeter();
  for (const event of events) {
    intake.take(event);
    if (isDue(1)) yield;
  }
}

interface Intake {
  readonly files: PackedFiles;
  readonly xorbs: ShardXorb[];
  verified(): boolean | null;
  take(event: ShardEvent): void;
}

function createIntake(): Intake {
  const files = new PackedFiles();
  const xorbs: ShardXorb[] = [];
  const xorbHashes = new HashTable();
  let verified: boolean | null = null;
  return {
    files,
    xorbs,
    verified: () => verified,
    take(event: ShardEvent): void {
      if (event.type === 'xorb') {
        if (xorbHashes.add(event.xorb.hash.bytes, 0) === xorbs.length) xorbs.push(event.xorb);
        return;
      }
      if (event.type === 'footer') return;
      const { file } = event;
      // An empty file has no term that could lack its range hash: it goes with either kind.
      if (file.terms.length > 0) {
        const has = file.verification !== null;
        if (verified !== null && verified !== has) {
          throw rejected('shard: some files carry range hashes and others do not');
        }
        verified = has;
      }
      files.add(file);
    },
  };
}

/** What the shard reader finds wrong is the client's fault, not ours. */
async function parsing(run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (isOrbweaverError(error) && error.code !== 'REJECTED')
      throw rejected(`shard: ${error.message}`, error);
    throw error;
  }
}
