import { textId } from '../ids.js';

/** A failure in the form of the framework that Cascade's server is written with. */
export class GoaError extends Error {
  readonly status: number;
  override readonly name: string;

  constructor(status: number, name: string, message: string) {
    super(message);
    this.status = status;
    this.name = name;
  }

  /** The body that says it. */
  json(): object {
    return {
      name: this.name,
      id: textId(8),
      message: this.message,
      temporary: false,
      timeout: false,
      fault: false,
    };
  }

  /** Declared failures also have a header. */
  headers(): Readonly<Record<string, string>> {
    return /^[A-Z]/.test(this.name) ? { 'goa-error': this.name } : {};
  }
}

/** @throws GoaError 400 in the words of the framework */
export function checkText(
  body: Readonly<Record<string, unknown>>,
  name: string,
  rule: { readonly length: number; readonly pattern?: RegExp },
): string {
  const value = body[name];
  if (value === undefined || value === null) {
    throw new GoaError(400, 'missing_field', `"${name}" is missing from body`);
  }
  if (typeof value !== 'string') {
    throw new GoaError(400, 'decode_payload', `cannot decode "${name}" into a string`);
  }
  if (value.length !== rule.length) {
    throw new GoaError(
      400,
      'invalid_length',
      `length of body.${name} must be equal to ${rule.length} but got value "${value}" (len=${value.length})`,
    );
  }
  if (rule.pattern !== undefined && !rule.pattern.test(value)) {
    throw new GoaError(
      400,
      'invalid_pattern',
      `body.${name} must match the regexp "${rule.pattern.source}"`,
    );
  }
  return value;
}
