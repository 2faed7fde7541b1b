import { ERROR_CODES, type ErrorFields, isOrbweaverError } from '../errors.js';
import type { FailedUpload } from './client-types.js';

/** Why one file of several did not get through. */
export function failedFile(path: string, error: unknown): FailedUpload {
  const code = isOrbweaverError(error) ? error.code : 'INTERNAL';
  const message = error instanceof Error ? error.message : String(error);
  const { hint, exitCode } = ERROR_CODES[code];
  const response = responseOf(isOrbweaverError(error) ? error.fields : {});
  return { path, code, message, hint, exitCode, ...response };
}

/** What a server can find the request by. */
function responseOf({
  status,
  requestId,
}: ErrorFields): Pick<FailedUpload, 'status' | 'requestId'> {
  return {
    status: typeof status === 'number' ? status : null,
    requestId: typeof requestId === 'string' ? requestId : null,
  };
}
