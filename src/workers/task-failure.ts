import { isOrbweaverError } from '../errors.js';
import type { TaskFailure } from './messages.js';

/** An error as plain values. */
export function failureOf(error: unknown): TaskFailure {
  if (isOrbweaverError(error)) {
    return { ok: false, code: error.code, message: error.message, fields: error.fields };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { ok: false, code: null, message, fields: {} };
}
