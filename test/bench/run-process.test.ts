import process from 'node:process';
import { describe, expect, it, vi } from 'vitest';
import { ownUsage, runProcess } from '../../src/bench/index.js';

const node = (script: string, fields: object = {}): Parameters<typeof runProcess>[0] => ({
  command: process.execPath,
  args: ['-e', script],
  ...fields,
});
const ACCOUNT = 'JSON.stringify({ cpuMs: 1, peakBytes: 2, said: process.env.SAID })';

describe('a process that is measured', () => {
  it('gets its input and environment, and is believed about its own cost', async () => {
    const script = `process.stdin.on('data', (d) => process.env.SAID += d).on('end', () => {
      console.log('noise'); console.log(${ACCOUNT}); })`;
    const run = await runProcess(node(script, { input: 'b', env: { SAID: 'a' } }));
    expect(run).toMatchObject({ cpuMs: 1, peakBytes: 2, result: { said: 'ab' } });
    expect(run.wallMs).toBeGreaterThan(0);
  });

  it('starts processes without the certificates that Node would read at every start', async () => {
    const script =
      'console.log(JSON.stringify({ cpuMs: 1, peakBytes: 1, set: "NODE_EXTRA_CA_CERTS" in process.env }))';
    vi.stubEnv('NODE_EXTRA_CA_CERTS', '/nothing/here');
    try {
      expect((await runProcess(node(script))).result['set']).toBe(false);
      // Who needs them says so.
      const env = { NODE_EXTRA_CA_CERTS: '/nothing/here' };
      expect((await runProcess(node(script, { env }))).result['set']).toBe(true);
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('is an error with its own words when it fails', async () => {
    await expect(runProcess(node('throw new TypeError("no such thing")'))).rejects.toThrow(
      'it ended with 1: TypeError: no such thing',
    );
    await expect(runProcess(node('process.exit(3)'))).rejects.toThrow('it ended with 3');
    await expect(runProcess({ command: '/nothing/here', args: [] })).rejects.toThrow('ENOENT');
  });

  it('is an error when it does not account for itself', async () => {
    await expect(runProcess(node('console.log("{}")'))).rejects.toThrow('no account');
    await expect(runProcess(node('console.log("done")'))).rejects.toThrow(
      'its last line expected a JSON object, got "done"',
    );
    await expect(runProcess(node(''))).rejects.toThrow('expected a JSON object');
  });

  it('is killed when it takes too long or is not wanted any more', async () => {
    const forever = 'setInterval(() => {}, 1000)';
    await expect(runProcess(node(forever, { timeoutMs: 50 }))).rejects.toThrow('SIGKILL');
    const cancel = new AbortController();
    const run = runProcess(node(forever, { signal: cancel.signal }));
    cancel.abort(new Error('enough'));
    await expect(run).rejects.toThrow('enough');
    await expect(runProcess(node(forever, { signal: cancel.signal }))).rejects.toThrow('enough');
  });

  it('accounts for CPU time and peak memory of all of itself', () => {
    const before = ownUsage();
    const block = Buffer.alloc(64 << 20, 1);
    const after = ownUsage();
    expect(block.length).toBe(64 << 20);
    expect(after.cpuMs).toBeGreaterThanOrEqual(before.cpuMs);
    expect(after.peakBytes).toBeGreaterThanOrEqual(before.peakBytes);
    expect(after.peakBytes).toBeGreaterThan(64 << 20);
  });
});
