import { OrbweaverError } from '../errors.js';

/** An archive that is damaged or uses what is not supported. */
export function zipInvalid(
  archive: string,
  expected: string,
  got: string | number,
  fields: Readonly<Record<string, string | number>> = {},
): OrbweaverError {
  return new OrbweaverError('ZIP_INVALID', `"${archive}" expected ${expected}, got ${got}`, {
    archive,
    ...fields,
  });
}

/** An archive that would pass the size its writer was given. */
export function zipTooLarge(archive: string, limit: number, got: number): OrbweaverError {
  return new OrbweaverError(
    'ZIP_TOO_LARGE',
    `"${archive}" expected at most ${limit} bytes, got ${got}`,
    { archive, limit, got },
  );
}
