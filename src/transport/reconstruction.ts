import type { ByteRange } from '../client/ports.js';
import { isOrbweaverError } from '../errors.js';
import type { MerkleHash } from '../hash/index.js';
import { parseReconstruction, type Reconstruction } from '../plan/index.js';
import { withRetries } from './attempts.js';
import { AttemptFailure } from './failures.js';
import {
  type Answer,
  answerFailure,
  type CasRequest,
  casOperation,
  createCallState,
  type HttpContext,
  readJson,
  sendToCas,
} from './http.js';

/** A million terms with their URLs; the answer for a terabyte that is cut into small pieces. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

export type ReconstructionQuery = (
  file: MerkleHash,
  range?: ByteRange,
  signal?: AbortSignal,
) => Promise<Reconstruction | null>;

/**
 * `GET /v2/reconstructions/{file}`, or version 1 where the server has no version 2. A 404 may mean
 * that the endpoint or that the file is missing: version 1 is asked, and only its success proves
 * the former.
 */
export function createReconstructionQuery(context: HttpContext): ReconstructionQuery {
  let version: 1 | 2 | null = null;

  return async (file, range, signal) => {
    const headers = rangeHeader(range);
    const state = createCallState();
    const requestFor = (asked: 1 | 2): CasRequest => ({
      method: 'GET',
      path: `v${asked}/reconstructions/${file}`,
      label: `v${asked}/reconstructions`,
      headers,
      signal,
    });
    const { name, url } = casOperation(context, requestFor(version ?? 2));
    return withRetries(context, { name, host: url.host, signal }, async () => {
      if (version !== 1) {
        const answer = await sendToCas(context, requestFor(2), state);
        const { status } = answer.exchange;
        const maybeMissing = version === null && (status === 404 || status === 501);
        if (!maybeMissing) {
          const result = await read(context, answer);
          version = 2;
          return result;
        }
        await answer.exchange.discard();
      }
      const answer = await sendToCas(context, requestFor(1), state);
      const result = await read(context, answer);
      if (answer.exchange.status === 200) version = 1;
      return result;
    });
  };
}

/** The reconstruction, or null for "starts past the end". */
async function read(context: HttpContext, answer: Answer): Promise<Reconstruction | null> {
  const { status } = answer.exchange;
  if (status === 416) {
    await answer.exchange.discard();
    return null;
  }
  if (status !== 200 && status !== 206) throw await answerFailure(context, answer);
  const json = await readJson(answer, MAX_ANSWER_BYTES);
  try {
    return parseReconstruction(json);
  } catch (exception) {
    if (!isOrbweaverError(exception)) throw exception;
    throw new AttemptFailure(exception, { retry: false, status });
  }
}

function rangeHeader(range: ByteRange | undefined): Readonly<Record<string, string>> {
  if (range === undefined) return {};
  const { start, end } = range;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end <= start) {
    throw new RangeError(`"range" expected 0 <= start < end, got ${start}, ${end}`);
  }
  return { range: `bytes=${start}-${end - 1}` };
}
