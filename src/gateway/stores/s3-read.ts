import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { isOrbweaverError, OrbweaverError } from '../../errors.js';
import type { ObjectInfo, ObjectReader, ObjectTail } from '../ports.js';
import { asked, type S3Place } from './s3-client.js';
import { isNoObject, isOtherVersion, s3Status } from './s3-errors.js';
import { INTACT_MARK } from './s3-put.js';

/** Reading objects: each request names a range, and the version that was looked at. */

/** Requests in a row that bring nothing before a read is given up; the SDK repeats each by itself. */
const MAX_EMPTY_TRIES = 3;

interface Described {
  readonly ETag?: string | undefined;
  readonly LastModified?: Date | undefined;
  readonly Metadata?: Record<string, string> | undefined;
}

export function infoOf(found: Described, sizeBytes: number): ObjectInfo {
  return {
    sizeBytes,
    modifiedMs: found.LastModified?.getTime() ?? 0,
    version: found.ETag ?? '',
    intact: found.Metadata?.[INTACT_MARK] !== undefined,
  };
}

export async function headObject(place: S3Place, key: string): Promise<ObjectInfo | null> {
  const { sdk, client, bucket, prefix } = place;
  return asked(place, `looking at "${key}"`, async () => {
    try {
      const found = await client.send(
        new sdk.HeadObjectCommand({ Bucket: bucket, Key: prefix + key }),
      );
      return infoOf(found, found.ContentLength ?? 0);
    } catch (error) {
      if (isNoObject(error)) return null;
      throw error;
    }
  });
}

interface Got {
  readonly output: GetObjectCommandOutput;
  /** Of the whole object. */
  readonly sizeBytes: number;
}

/** Bytes that `range` names, or the whole. Null: no such object. 412 and 416 are thrown as they come. */
async function get(
  place: S3Place,
  key: string,
  range: string | undefined,
  version?: string,
): Promise<Got | null> {
  const { sdk, client, bucket, prefix } = place;
  try {
    const output = await client.send(
      new sdk.GetObjectCommand({
        Bucket: bucket,
        Key: prefix + key,
        ...(range !== undefined && { Range: range }),
        ...(version !== undefined && { IfMatch: version }),
      }),
    );
    const total = /\/(\d+)$/.exec(output.ContentRange ?? '')?.[1];
    return { output, sizeBytes: total === undefined ? (output.ContentLength ?? 0) : Number(total) };
  } catch (error) {
    if (isNoObject(error)) return null;
    throw error;
  }
}

/** Pieces of a response; leaving the loop gives its connection up. */
function piecesOf({ output }: Got): AsyncIterable<Uint8Array> {
  return output.Body as unknown as AsyncIterable<Uint8Array>;
}

/** The whole body of a response, whose length it has announced. */
async function whole(got: Got): Promise<Uint8Array> {
  const bytes = new Uint8Array(got.output.ContentLength ?? 0);
  let at = 0;
  for await (const piece of piecesOf(got)) {
    if (at + piece.length > bytes.length) break;
    bytes.set(piece, at);
    at += piece.length;
  }
  if (at !== bytes.length) throw brokenOff();
  return bytes;
}

function brokenOff(): Error {
  return Object.assign(new Error('the response broke off'), { code: 'ECONNRESET' });
}

/** Runs what reads a body again when its connection broke. */
async function repeated<Result>(run: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await run();
    } catch (error) {
      if (tries === MAX_EMPTY_TRIES || s3Status(error) !== 0) throw error;
    }
  }
}

/** The whole object and its version; null when there is none. One request. */
export async function readObject(
  place: S3Place,
  key: string,
): Promise<{ readonly bytes: Uint8Array; readonly info: ObjectInfo } | null> {
  return asked(place, `reading "${key}"`, () =>
    repeated(async () => {
      const got = await get(place, key, undefined);
      if (got === null) return null;
      return { bytes: await whole(got), info: infoOf(got.output, got.sizeBytes) };
    }),
  );
}

/** The last bytes of an object, or all of a shorter one. One request. */
export async function readTail(
  place: S3Place,
  key: string,
  bytes: number,
): Promise<ObjectTail | null> {
  return asked(place, `reading "${key}"`, () =>
    repeated(async () => {
      // An empty object has no last byte: some services answer 416, others its nothing.
      const got = await get(place, key, `bytes=-${bytes}`).catch(async (error: unknown) => {
        if (s3Status(error) !== 416) throw error;
        return get(place, key, undefined);
      });
      if (got === null) return null;
      return { bytes: await whole(got), info: infoOf(got.output, got.sizeBytes) };
    }),
  );
}

/** Bytes from `start` on, as many as `into` takes; of `version`, when it is given. Null: no object. */
export async function readRange(
  place: S3Place,
  key: string,
  into: Uint8Array,
  { start, version }: { readonly start: number; readonly version?: string | undefined },
): Promise<Uint8Array | null> {
  let at = 0;
  let emptyTries = 0;
  let seen = version;
  return asked(place, `reading "${key}"`, async () => {
    while (at < into.length) {
      const before = at;
      try {
        const got = await get(place, key, `bytes=${start + at}-${start + into.length - 1}`, seen);
        if (got === null) return before === 0 && version === undefined ? null : throwGone(key);
        if (got.sizeBytes < start + into.length)
          throw truncated(key, got.sizeBytes, start + into.length);
        // What is asked for after a break has to be of the same object.
        seen ??= got.output.ETag;
        for await (const piece of piecesOf(got)) {
          if (at + piece.length > into.length) throw brokenOff();
          into.set(piece, at);
          at += piece.length;
        }
        if (at < into.length) throw brokenOff();
      } catch (error) {
        if (isOtherVersion(error)) throwGone(key);
        if (s3Status(error) === 416) {
          const info = await headObject(place, key);
          if (info === null) return throwGone(key);
          throw truncated(key, info.sizeBytes, start + into.length);
        }
        if (s3Status(error) !== 0 || isOrbweaverError(error)) throw error;
        emptyTries = at === before ? emptyTries + 1 : 0;
        if (emptyTries === MAX_EMPTY_TRIES) throw error;
      }
    }
    return into;
  });
}

export function truncated(key: string, sizeBytes: number, expected: number): OrbweaverError {
  const message = `object "${key}" expected at least ${expected} bytes, got ${sizeBytes}`;
  return new OrbweaverError('TRUNCATED', message, { key, expected, sizeBytes });
}

function throwGone(key: string): never {
  const message = `object "${key}" was replaced or deleted while it was read`;
  throw new OrbweaverError('STORAGE_FAILED', message, { key });
}

/** The first request of a reader that was not told what is coming; it doubles while reads go on in order. */
const FIRST_WINDOW_BYTES = 512 * 1024;
const MAX_WINDOW_BYTES = 8 * 1024 * 1024;
/** What is left of a response is read to its end when it is no more than that, and the connection kept. */
const DRAIN_BYTES = 128 * 1024;

/** A response that is read piece by piece. */
interface Run {
  readonly pieces: AsyncIterator<Uint8Array>;
  readonly end: number;
  position: number;
  rest: Uint8Array;
}

/**
 * An object, read in order as a rule: a response is kept open and read on, as far as was announced by
 * `expect`, else in windows that grow. Reads elsewhere, and reads at the same time, ask for themselves.
 */
export async function openObject(place: S3Place, key: string): Promise<ObjectReader | null> {
  const info = await headObject(place, key);
  if (info === null) return null;
  const { sizeBytes, version } = info;
  let expected = { start: 0, end: 0 };
  let windowBytes = FIRST_WINDOW_BYTES;
  let run: Run | null = null;
  let lastEnd = -1;
  let busy = false;

  async function begin(offset: number, length: number): Promise<Run> {
    const isExpected = expected.start <= offset && offset + length <= expected.end;
    windowBytes =
      offset === lastEnd ? Math.min(MAX_WINDOW_BYTES, 2 * windowBytes) : FIRST_WINDOW_BYTES;
    const ahead = isExpected ? expected.end : offset + Math.max(length, windowBytes);
    const end = Math.min(sizeBytes, ahead);
    const got = await get(place, key, `bytes=${offset}-${end - 1}`, version).catch(
      (error: unknown) => {
        if (isOtherVersion(error)) throwGone(key);
        throw error;
      },
    );
    if (got === null) return throwGone(key);
    const pieces = piecesOf(got)[Symbol.asyncIterator]();
    return { pieces, end, position: offset, rest: new Uint8Array(0) };
  }

  async function leave(): Promise<void> {
    const left = run;
    run = null;
    if (left === null) return;
    if (left.end - left.position <= DRAIN_BYTES) {
      while ((await left.pieces.next()).done !== true);
    } else await left.pieces.return?.();
  }

  async function readOn(into: Uint8Array, offset: number): Promise<void> {
    let at = 0;
    let emptyTries = 0;
    while (at < into.length) {
      const position = offset + at;
      const before = at;
      try {
        if (run?.position !== position || run.position >= run.end) {
          await leave().catch(() => undefined);
          run = await begin(position, into.length - at);
        }
        if (run.rest.length === 0) {
          const next = await run.pieces.next();
          if (next.done === true) throw brokenOff();
          run.rest = next.value;
        }
        const piece = run.rest.subarray(0, into.length - at);
        into.set(piece, at);
        at += piece.length;
        run.rest = run.rest.subarray(piece.length);
        run.position += piece.length;
      } catch (error) {
        run = null;
        if (s3Status(error) !== 0 || isOrbweaverError(error)) throw error;
        emptyTries = at === before ? emptyTries + 1 : 0;
        if (emptyTries === MAX_EMPTY_TRIES) throw error;
      }
      lastEnd = offset + at;
    }
  }

  return {
    sizeBytes,
    expect(start, end) {
      expected = { start, end: Math.min(end, sizeBytes) };
    },
    async readAt(into, offset) {
      if (offset + into.length > sizeBytes) throw truncated(key, sizeBytes, offset + into.length);
      if (into.length === 0) return;
      if (busy) {
        await readRange(place, key, into, { start: offset, version });
        return;
      }
      busy = true;
      try {
        await asked(place, `reading "${key}"`, () => readOn(into, offset));
      } finally {
        busy = false;
      }
    },
    close: async () => leave().catch(() => undefined),
  };
}
