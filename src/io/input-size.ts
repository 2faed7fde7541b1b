import { OrbweaverError } from '../errors.js';

/** `INPUT_CHANGED`: an input ended elsewhere than it said. `got` is a number or a phrase. */
export function inputChanged(name: string, expected: number, got: number | string): OrbweaverError {
  return new OrbweaverError('INPUT_CHANGED', `"${name}" expected ${expected} bytes, got ${got}`, {
    path: name,
    expected,
  });
}
