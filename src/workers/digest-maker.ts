import {
  type ByteDigestName,
  byteDigestsFor,
  createDigestTexts,
  type DigestMaker,
  type DigestStream,
  type DigestTexts,
} from '../digests/index.js';
import { OrbweaverError } from '../errors.js';
import { checkOptions, is } from '../options/index.js';
import {
  type DigestLane,
  type DigestThread,
  inPlaceLane,
  startDigestThread,
} from './digest-thread.js';

/**
 * What is computed side by side: each group sees the same bytes in the same memory. A GiB takes a core
 * about 1.6 s for MD5, 0.7 s for each SHA-256 with the processor's instructions, 1 s for the file hash.
 */
const GROUPS: readonly (readonly ByteDigestName[])[] = [
  ['md5', 'md5Ends'],
  ['sha256', 'leaves256KiB'],
  ['fileHash', 'leaves1MiB'],
];

/** Content up to this size is digested in place: a thread takes 50 ms of a core to start. */
const IN_PLACE_BYTES: number = 4 * 1024 * 1024;

/** What {@link createDigestMaker} is told. */
export interface DigestMakerOptions {
  /** Threads at most; 0: all is computed on the calling thread. @default 3 */
  readonly threads?: number | undefined;
}

/**
 * Makes digests of files on threads that are started when they are first needed.
 *
 * @throws RangeError for a number of threads that is not a whole number from 0
 * @example
 * const maker = createDigestMaker();
 * const stream = maker.create(['sha256', 'cid1MiB1024'], 5);
 * await stream.update(new TextEncoder().encode('hello'));
 * const { sha256 } = await stream.finish();
 * await maker.close();
 */
export function createDigestMaker(options: DigestMakerOptions = {}): DigestMaker {
  checkOptions('createDigestMaker', options, { threads: is.integer(0) });
  const { threads = GROUPS.length } = options;
  const started: DigestThread[] = [];
  let closed = false;

  const threadFor = (lane: number): DigestThread => {
    const index = lane % threads;
    started[index] ??= startDigestThread({ kernels: true });
    return started[index];
  };

  return {
    create(names, expectedBytes) {
      if (closed) throw new OrbweaverError('CLOSED', 'the digest threads are closed');
      const wanted = byteDigestsFor(names);
      const groups = GROUPS.map((group) => group.filter((name) => wanted.includes(name))).filter(
        (group) => group.length > 0,
      );
      const inPlace =
        threads === 0 || (expectedBytes ?? Number.POSITIVE_INFINITY) <= IN_PLACE_BYTES;
      const lanes = groups.map((group, i) =>
        inPlace ? inPlaceLane(group) : threadFor(i).open(group),
      );
      return digestStream(lanes, createDigestTexts(names));
    },
    async close() {
      closed = true;
      await Promise.all(started.map((thread) => thread?.close()));
    },
  };
}

function digestStream(lanes: readonly DigestLane[], making: Promise<DigestTexts>): DigestStream {
  making.catch(() => undefined);
  let sizeBytes = 0;
  let ended = false;
  /** Settles when the leaves of all updates so far have their place. */
  let placed: Promise<unknown> = Promise.resolve();
  const feed = async (lane: DigestLane, bytes: Uint8Array): Promise<void> => {
    const leaves = await lane.update(bytes);
    (await making).leaves(leaves);
  };
  return {
    update(bytes) {
      if (ended) {
        return Promise.reject(
          new OrbweaverError('CLOSED', 'digests that have ended take no more bytes'),
        );
      }
      sizeBytes += bytes.length;
      const done = Promise.all(lanes.map((lane) => feed(lane, bytes))).then(() => undefined);
      placed = Promise.all([placed, done]);
      placed.catch(() => undefined);
      return done;
    },
    async finish() {
      if (ended) throw new OrbweaverError('CLOSED', 'digests have one end only');
      ended = true;
      const texts = await making;
      const finishing = Promise.all(lanes.map((lane) => lane.finish()));
      finishing.catch(() => undefined);
      await placed;
      const finished = await finishing;
      for (const { leaves } of finished) texts.leaves(leaves);
      return texts.finish(Object.assign({}, ...finished.map(({ digests }) => digests)), sizeBytes);
    },
    dispose() {
      if (ended) return;
      ended = true;
      for (const lane of lanes) lane.drop();
    },
  };
}
