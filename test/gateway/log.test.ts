import { describe, expect, it } from 'vitest';
import { OrbweaverError } from '../../src/errors.js';
import { createGatewayLog, type GatewayLogOptions } from '../../src/gateway/index.js';
import { createFakeClock } from './support/rig.js';

function logInto(options: Partial<GatewayLogOptions> = {}) {
  const written: string[] = [];
  const clock = createFakeClock();
  const log = createGatewayLog({ write: (lines) => written.push(lines), clock, ...options });
  return { log, written, clock };
}

const ACCESS = {
  requestId: '0000000000000001',
  method: 'GET',
  path: '/v1/fetch/ab',
  status: 206,
  sentBytes: 65_536,
  durationMs: 1.234,
  principal: null,
  client: null,
};

describe('the log of a gateway', () => {
  it('gathers lines of requests and writes faults at once, in order', () => {
    const { log, written, clock } = logInto();
    log.onAccess(ACCESS);
    log.onAccess({ ...ACCESS, status: 404, principal: 'somebody', client: '10.0.0.7' });
    expect(written).toEqual([]);
    clock.advance(100);
    const line = '2027-01-15T08:00:00.000Z info  0000000000000001 GET /v1/fetch/ab';
    expect(written).toEqual([
      `${line} 206 65536 B 1.2 ms - -\n${line} 404 65536 B 1.2 ms somebody 10.0.0.7\n`,
    ]);
    log.onAccess(ACCESS);
    const error = new OrbweaverError('INTEGRITY', 'xorb ab has another length');
    log.onFault({ ...ACCESS, status: 410, error });
    expect(written).toHaveLength(2);
    expect(written[1]).toMatch(/ info .*\n.* error .* 410 INTEGRITY xorb ab has another length\n$/);
    expect(clock.timerCount).toBe(0);
  });

  it.each(['text', 'json'] as const)('(%s) takes secrets out of whatever is thrown', (format) => {
    const { log, written } = logInto({ format });
    const token = `orb_${'5eed'.repeat(12)}`;
    const cause = new Error(`GET https://x/y?sig=seeded-signature&e=1 with Bearer seeded-token`);
    const error = new OrbweaverError('STORAGE_FAILED', `reading\n${token}`, {}, cause);
    log.onFault({ ...ACCESS, status: 500, error });
    log.onFault({ ...ACCESS, status: 500, error: token });
    const text = written.join('');
    expect(text).toContain('STORAGE_FAILED');
    expect(text).toContain('with Bearer ***');
    for (const secret of ['5eed5eed', 'seeded']) expect(text).not.toContain(secret);
    expect(text.trimEnd().split('\n')).toHaveLength(2);
  });

  it.each([
    ['error', 1],
    ['warn', 2],
    ['info', 3],
    ['debug', 4],
  ] as const)('at level %s has %i of four lines', (level, count) => {
    const { log, written } = logInto({ level, format: 'json' });
    log.onFault({ ...ACCESS, status: 500, error: new Error('x') });
    log.onWarning('the disk is full');
    log.onAccess(ACCESS);
    log.onAccess({ ...ACCESS, path: '/health' });
    log.flush();
    const lines = written.join('').trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).level)).toEqual(
      ['error', 'warn', 'info', 'debug'].slice(0, count),
    );
  });
});
