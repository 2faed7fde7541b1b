/**
 * The one checker of options objects. An options object is checked once, where it enters: a name
 * that is not known is refused (it is a misspelling that would be ignored in silence), and the same
 * mistake gives the same error wherever it is made. What is wrong is the program, so these are
 * `TypeError` and `RangeError` with the name of the option, what was expected and what came.
 */

/** What one option may be. Made by {@link is}. */
export interface OptionRule {
  /** As a phrase: "a string", "an integer from 0 to 256". */
  readonly expected: string;
  /** True for a value of the right type. */
  readonly hasType: (value: unknown) => boolean;
  /** False for one of the right type that is out of range. */
  readonly inRange?: (value: unknown) => boolean;
  /** True: `undefined` is refused, too. */
  readonly required?: boolean;
}

/** A rule for each option of `T`: the compiler says when one is forgotten. */
export type OptionRules<T> = { readonly [K in keyof Required<T>]: OptionRule };

/**
 * Checks `options` and gives them back.
 *
 * @param owner who takes them, for the message: `createClient`
 * @throws TypeError for anything but an object, an unknown name, a missing or mistyped value;
 * RangeError for a value out of range
 * @example
 * const { port } = checkOptions('listen', options, { port: is.integer(0, 65_535) });
 */
export function checkOptions<T extends object>(
  owner: string,
  options: T,
  rules: OptionRules<T>,
): T {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`"options" of ${owner} expected an object, got ${textOf(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(rules, name)) continue;
    const names = Object.keys(rules).join(', ');
    throw new TypeError(`"${name}" is no option of ${owner}, which takes ${names}`);
  }
  for (const [name, rule] of Object.entries<OptionRule>(rules)) {
    const value: unknown = (options as Record<string, unknown>)[name];
    if (value === undefined && rule.required !== true) continue;
    const got = SECRET.test(name) ? kindOf(value) : textOf(value);
    const text = `"${name}" expected ${rule.expected}, got ${got}`;
    if (!rule.hasType(value)) throw new TypeError(text);
    if (rule.inRange?.(value) === false) throw new RangeError(text);
  }
  return options;
}

/** The kinds of rules. */
interface Kinds {
  readonly text: OptionRule;
  readonly flag: OptionRule;
  readonly callback: OptionRule;
  readonly object: OptionRule;
  readonly signal: OptionRule;
  readonly texts: OptionRule;
  /** `null`, which says on purpose that there is none. */
  readonly none: OptionRule;
  /** Anything: whoever uses it checks it. */
  readonly any: OptionRule;
  integer(min: number, max?: number): OptionRule;
  /** Milliseconds and the like. */
  number(min: number, max?: number): OptionRule;
  oneOf(names: readonly string[]): OptionRule;
  /** Any of several rules. */
  either(...rules: readonly OptionRule[]): OptionRule;
  required(rule: OptionRule): OptionRule;
}

export const is: Kinds = {
  text: { expected: 'a string', hasType: (value) => typeof value === 'string' },
  flag: { expected: 'true or false', hasType: (value) => typeof value === 'boolean' },
  callback: { expected: 'a function', hasType: (value) => typeof value === 'function' },
  object: {
    expected: 'an object',
    hasType: (value) => typeof value === 'object' && value !== null,
  },
  signal: { expected: 'an AbortSignal', hasType: (value) => value instanceof AbortSignal },
  texts: {
    expected: 'an array of strings',
    hasType: (value) => Array.isArray(value) && value.every((each) => typeof each === 'string'),
  },
  none: { expected: 'null', hasType: (value) => value === null },
  any: { expected: 'a value', hasType: () => true },
  integer(min, max = Number.MAX_SAFE_INTEGER) {
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    return {
      expected: `an integer ${range}`,
      hasType: (value) => Number.isSafeInteger(value),
      inRange: (value) => Number(value) >= min && Number(value) <= max,
    };
  },
  number(min, max = Number.POSITIVE_INFINITY) {
    return {
      expected: `a number of at least ${min}${Number.isFinite(max) ? ` and at most ${max}` : ''}`,
      hasType: (value) => typeof value === 'number' && !Number.isNaN(value),
      inRange: (value) => Number(value) >= min && Number(value) <= max,
    };
  },
  oneOf(names) {
    return {
      expected: `one of ${names.join(', ')}`,
      hasType: (value) => typeof value === 'string',
      inRange: (value) => names.includes(value as string),
    };
  },
  either(...rules) {
    return {
      expected: rules.map((rule) => rule.expected).join(' or '),
      hasType: (value) => rules.some((rule) => rule.hasType(value)),
      inRange: (value) =>
        rules.some((rule) => rule.hasType(value) && rule.inRange?.(value) !== false),
    };
  },
  required(rule) {
    return { ...rule, required: true };
  },
};

/** Options whose values are in no message, whatever they are: a token may be given where an object belongs. */
const SECRET = /secret|token|credential|pass|apikey/i;

/** A value for a message: short. */
function textOf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return value.length > 40 ? 'a long string' : `"${value}"`;
  return kindOf(value);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
