import { describe, expect, it } from 'vitest';
import { checkOptions, is, type OptionRules } from '../../src/options/index.js';

interface Options {
  readonly name?: string | undefined;
  readonly count?: number | undefined;
  readonly mode?: string | undefined;
  readonly port: number;
}

const RULES: OptionRules<Options> = {
  name: is.text,
  count: is.integer(0, 256),
  mode: is.oneOf(['fast', 'small']),
  port: is.required(is.integer(1)),
};

const check = (options: unknown): unknown => checkOptions('listen', options as Options, RULES);

describe('the checker of options', () => {
  it('gives right options back, absent and undefined ones included', () => {
    const options = { port: 1, name: undefined, count: 256, mode: 'fast' };
    expect(check(options)).toBe(options);
  });

  it('refuses a name that is not known, and says which are', () => {
    expect(() => check({ port: 1, cuont: 3 })).toThrow(
      new TypeError('"cuont" is no option of listen, which takes name, count, mode, port'),
    );
    expect(() => check({ port: 1, toString: 3 })).toThrow(TypeError);
  });

  it('tells a wrong type from a wrong value', () => {
    expect(() => check({ port: 1, count: '3' })).toThrow(
      new TypeError('"count" expected an integer from 0 to 256, got "3"'),
    );
    expect(() => check({ port: 1, count: 257 })).toThrow(RangeError);
    expect(() => check({ port: 1, count: Number.NaN })).toThrow(TypeError);
    expect(() => check({ port: 1, mode: 'slow' })).toThrow(
      new RangeError('"mode" expected one of fast, small, got "slow"'),
    );
    expect(() => check({})).toThrow(
      new TypeError('"port" expected an integer of at least 1, got undefined'),
    );
    for (const none of [null, 3, 'x']) expect(() => check(none)).toThrow(TypeError);
  });

  it('shows nothing of what may be a secret, whatever was given for it', () => {
    const rules: OptionRules<Record<'secret' | 'credentials' | 'token' | 'passphrase', unknown>> = {
      secret: is.object,
      credentials: is.object,
      token: is.either(is.text, is.object),
      passphrase: is.text,
    };
    const said = [
      { secret: 'hunter2' },
      { credentials: 'hf_abc' },
      { token: 123456 },
      { passphrase: 1234 },
    ];
    const messages = said.map((options) => {
      try {
        checkOptions('listen', options as never, rules);
      } catch (error) {
        return (error as Error).message;
      }
      return '';
    });
    expect(messages).toEqual([
      '"secret" expected an object, got a string',
      '"credentials" expected an object, got a string',
      '"token" expected a string or an object, got a number',
      '"passphrase" expected a string, got a number',
    ]);
  });
});
