import { OrbweaverError } from '../errors.js';

/**
 * Checked access to parsed JSON from a server. Every failure is `PROTOCOL` and names the field.
 */

/** A JSON object. @throws OrbweaverError `PROTOCOL` */
export function objectField(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unexpected(field, 'an object', value);
  }
  return value as Record<string, unknown>;
}

/** A JSON array of at most `limit` elements. @throws OrbweaverError `PROTOCOL` */
export function arrayField(value: unknown, field: string, limit: number): readonly unknown[] {
  if (!Array.isArray(value)) throw unexpected(field, 'an array', value);
  if (value.length > limit) throw unexpected(field, `at most ${limit} elements`, value.length);
  return value;
}

/** An integer in `[least, most]`. @throws OrbweaverError `PROTOCOL` */
export function integerField(value: unknown, field: string, least: number, most: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    throw unexpected(field, `an integer from ${least} to ${most}`, value);
  }
  return value as number;
}

/** A string of 1 to `limit` UTF-16 units. @throws OrbweaverError `PROTOCOL` */
export function stringField(value: unknown, field: string, limit: number): string {
  if (typeof value !== 'string' || value.length === 0) {
    throw unexpected(field, 'a string', value);
  }
  if (value.length > limit) {
    throw unexpected(field, `a string of at most ${limit} characters`, value.length);
  }
  return value;
}

/** `"field" expected X, got Y`; Y is shortened and never a whole string (it may be a signed URL). */
export function unexpected(field: string, expected: string, value: unknown): OrbweaverError {
  return new OrbweaverError('PROTOCOL', `"${field}" expected ${expected}, got ${shown(value)}`, {
    field,
  });
}

function shown(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'string') return `a string of ${value.length} characters`;
  return value === undefined ? 'nothing' : `a value of type ${typeof value}`;
}
