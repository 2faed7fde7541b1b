import { isOrbweaverError, OrbweaverError } from '../../errors.js';
import type { FileTask } from './file-task.js';

/** Any thrown value as an error. */
export function errorOf(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  return new OrbweaverError('INTERNAL', `something was thrown that is no error: ${thrown}`);
}

/** A failure to read as one of ours, with the name of the file. */
export function sourceError(file: FileTask, error: unknown): Error {
  if (isOrbweaverError(error)) return error;
  const { name } = file.source;
  const reason = error instanceof Error ? error.message : String(error);
  return new OrbweaverError('INPUT_UNREADABLE', `"${name}" failed: ${reason}`, { name }, error);
}
