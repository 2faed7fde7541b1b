import type { ByteRange } from '../client/ports.js';
import { isOrbweaverError, OrbweaverError } from '../errors.js';
import type { Scope } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import { drain, type HttpHeaders } from '../http/index.js';
import { parseReconstruction, type Reconstruction } from '../plan/index.js';
import type { Call } from './call.js';
import {
  type Context,
  casCall,
  type Received,
  readJson,
  sendToCas,
  statusFailure,
} from './context.js';
import { AttemptFailure } from './failures.js';
import { withRetries } from './retry.js';

/** A million terms with their URLs; the response for a terabyte that is cut into small pieces. */
const MAX_RESPONSE_BYTES = 256 * 1024 * 1024;

export type ReconstructionQuery = (
  file: MerkleHash,
  range: ByteRange | undefined,
  scope: Scope,
) => Promise<Reconstruction | null>;

/**
 * `GET /v2/reconstructions/{file}`, or version 1 where the server has no version 2. A 404 may mean
 * that the endpoint or that the file is missing: version 1 is asked, and only its success proves
 * the former.
 */
export function createReconstructionQuery(context: Context): ReconstructionQuery {
  let version: 1 | 2 | null = null;

  return async (file, range, scope) => {
    const headers = rangeHeader(range);
    const callOf = (asked: 1 | 2): Call => {
      const label = `v${asked}/reconstructions`;
      return casCall(context, { method: 'GET', path: `${label}/${file}`, label, scope });
    };
    const [v1, v2] = [callOf(1), callOf(2)];
    // One call, whatever the version: the token is refreshed once.
    const calls = [v1, { ...v2, memory: v1.memory }] as const;
    return withRetries(context, version === 1 ? v1 : v2, async () => {
      if (version !== 1) {
        const received = await sendToCas(context, calls[1], { headers });
        const { status, body } = received.response;
        const maybeMissing = version === null && (status === 404 || status === 501);
        if (!maybeMissing) {
          const result = await read(context, file, received);
          version = 2;
          return result;
        }
        await drain(body);
      }
      const received = await sendToCas(context, calls[0], { headers });
      const result = await read(context, file, received);
      if (received.response.status === 200) version = 1;
      return result;
    });
  };
}

/** The reconstruction, or null for "starts past the end". */
async function read(
  context: Context,
  file: MerkleHash,
  received: Received,
): Promise<Reconstruction | null> {
  const { status, body } = received.response;
  if (status === 416) {
    await drain(body);
    return null;
  }
  if (status === 404) throw notThere(file, received, await statusFailure(context, received));
  if (status !== 200 && status !== 206) throw await statusFailure(context, received);
  return readJson(context, received, MAX_RESPONSE_BYTES, (json) => {
    try {
      return parseReconstruction(json);
    } catch (exception) {
      if (!isOrbweaverError(exception)) throw exception;
      throw new AttemptFailure(exception, { retry: false, status });
    }
  });
}

/** In the words of who asked for a file; what the server said stays in the fields. */
function notThere(file: MerkleHash, { call }: Received, { error }: AttemptFailure): AttemptFailure {
  const message = `the store at ${call.url.host} has no file with the hash ${file}`;
  return new AttemptFailure(new OrbweaverError('NOT_FOUND', message, error.fields), {
    retry: false,
    status: 404,
  });
}

function rangeHeader(range: ByteRange | undefined): HttpHeaders {
  if (range === undefined) return {};
  const { start, end } = range;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end <= start) {
    throw new RangeError(`"range" expected 0 <= start < end, got ${start}, ${end}`);
  }
  return { range: `bytes=${start}-${end - 1}` };
}
