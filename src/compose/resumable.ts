import { isOrbweaverError, OrbweaverError } from '../errors.js';

/** The same error, which also says by which name the transfer can be gone on with. */
export function resumable(error: unknown, transferId: string | null): unknown {
  if (transferId === null || !isOrbweaverError(error)) return error;
  const { code, message, fields } = error;
  return new OrbweaverError(code, message, { ...fields, transferId }, error);
}
