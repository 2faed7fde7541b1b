import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createUploadSession } from '../../src/client/index.js';
import { createClient } from '../../src/compose/client.js';
import { startGateway } from '../../src/compose/gateway.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import { createCasClient } from '../../src/transport/index.js';
import { createXetTarget } from '../../src/transport/targets.js';
import { createComputePool } from '../../src/workers/index.js';
import { describeTarget } from './conformance.js';

/** A real gateway on a folder; its client loses responses where the suite asks for it. */
describeTarget('xet', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'orbweaver-xet-'));
  const gateway = await startGateway({ data: join(folder, 'store'), port: 0, workers: 0 });
  const pool = await createComputePool({ threads: 0, maxMemory: 16 << 20 });
  const reader = await createClient({
    endpoint: gateway.url,
    token: gateway.readToken,
    workers: 0,
    maxMemory: 16 << 20,
  });
  let token = gateway.writeToken;
  let commits = 0;
  const opened: { close(): Promise<void> }[] = [];
  const lost = { send: false, commit: false };
  const casOf = async () => {
    const cas = await createCasClient({ endpoint: gateway.url, token, retry: { retries: 0 } });
    opened.push(cas);
    const losing = async <T>(step: 'send' | 'commit', made: Promise<T>): Promise<T> => {
      const result = await made;
      if (!lost[step]) return result;
      lost[step] = false;
      const { OrbweaverError } = await import('../../src/errors.js');
      throw new OrbweaverError('NETWORK', 'the connection was cut');
    };
    return {
      ...cas,
      putXorb: (...args: Parameters<typeof cas.putXorb>) => losing('send', cas.putXorb(...args)),
      putShard: async (...args: Parameters<typeof cas.putShard>) => {
        const result = await cas.putShard(...args);
        if (result.registered) commits++;
        return losing('commit', Promise.resolve(result));
      },
    };
  };
  let cas = await casOf();
  return {
    clock: { ...SYSTEM_CLOCK, setTimer: (_delayMs, run) => SYSTEM_CLOCK.setTimer(0, run) },
    target: () =>
      createXetTarget({
        openSession: (signal) =>
          createUploadSession({
            clock: SYSTEM_CLOCK,
            cas,
            pool,
            hasher: pool.kernels.hasher,
            options: { signal },
          }),
      }),
    async stored({ ids }) {
      const out = join(folder, 'out.bin');
      await reader.download(ids['file_hash'] ?? '', { to: out });
      return readFile(out);
    },
    loseResponse(step) {
      lost[step] = true;
    },
    refuse() {
      token = 'no-good-token';
      void casOf().then((made) => {
        cas = made;
      });
    },
    commits: () => commits,
    secrets: [gateway.writeToken, 'no-good-token'],
    async close() {
      for (const each of opened) await each.close();
      await reader.close();
      await pool.close();
      await gateway.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
});
