/**
 * The one checker of options: each option has a check that returns the value to use or throws a
 * message that names it; a name that no option has is refused, so that a typing error is no silent
 * default.
 */

/** Takes what the caller gave (`undefined`: nothing) and returns what to use. */
export type OptionCheck<Value> = (given: unknown, name: string) => Value;

type Checked<Checks> = {
  readonly [Name in keyof Checks]: Checks[Name] extends OptionCheck<infer Value> ? Value : never;
};

/**
 * Checks all options at once.
 *
 * @throws TypeError for a name that is no option; what the checks throw
 * @example
 * const { retries } = checkOptions('upload', options, { retries: wholeNumber({ default: 6 }) });
 */
export function checkOptions<Checks extends Readonly<Record<string, OptionCheck<unknown>>>>(
  what: string,
  options: object | undefined,
  checks: Checks,
): Checked<Checks> {
  const given = (options ?? {}) as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(checks, name)) continue;
    throw new TypeError(`"${name}" is no option of ${what}: ${Object.keys(checks).join(', ')}`);
  }
  const values = Object.entries(checks).map(([name, check]) => [name, check(given[name], name)]);
  return Object.fromEntries(values) as Checked<Checks>;
}

/** A whole number of at least `min` (1 unless given). @throws RangeError */
export function wholeNumber(rule: { default: number; min?: number }): OptionCheck<number> {
  const min = rule.min ?? 1;
  return (given, name) => {
    const value = given ?? rule.default;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min) {
      throw new RangeError(`"${name}" expected a whole number of at least ${min}, got ${value}`);
    }
    return value;
  };
}

/** True or false. @throws TypeError */
export function flag(rule: { default: boolean }): OptionCheck<boolean> {
  return (given, name) => {
    const value = given ?? rule.default;
    if (typeof value !== 'boolean') {
      throw new TypeError(`"${name}" expected true or false, got ${String(value)}`);
    }
    return value;
  };
}

/** A function, or nothing. @throws TypeError */
export function callback<Call>(): OptionCheck<Call | undefined> {
  return (given, name) => {
    if (given === undefined || typeof given === 'function') return given as Call | undefined;
    throw new TypeError(`"${name}" expected a function, got ${typeof given}`);
  };
}

/** What `parse` makes of it, or null when nothing is given. */
export function optional<Given, Value>(
  parse: (given: Given, name: string) => Value,
): OptionCheck<Value | null> {
  return (given, name) => (given === undefined ? null : parse(given as Given, name));
}
