import { createMultipartServer, type Generation } from '../../../src/target-servers/index.js';
import { createMultipartTarget } from '../../../src/transport/targets.js';
import { describeTarget } from '../conformance.js';
import { impatientClock } from '../support.js';

for (const generation of ['g0', 'g1', 'g1a', 'g2'] satisfies Generation[]) {
  describeTarget(`multipart, generation ${generation}`, async () => {
    const clock = impatientClock();
    const tokens = { 'secret-of-the-user': 'user' };
    const server = createMultipartServer({
      generation,
      clock,
      tokens,
      // Seven chunks of files that a test can hold.
      defaultChunkBytes: 100_001,
    });
    let token = 'secret-of-the-user';
    return {
      clock,
      target: () =>
        createMultipartTarget({
          exchange: server.exchange,
          url: 'http://files.test/api',
          token,
          clock,
          random: () => 0.5,
        }),
      stored: ({ ids }) => server.read(ids['file_id'] ?? ''),
      loseResponse: (step) =>
        server.plan({ on: step === 'send' ? 'chunk' : 'complete', do: { kind: 'lose-response' } }),
      refuse: () => {
        token = 'another-secret';
      },
      ...(generation === 'g1a'
        ? {}
        : {
            damage: () =>
              server.plan({
                on: 'complete',
                do: { kind: 'wrong-result', hash: '0'.repeat(generation === 'g2' ? 64 : 32) },
              }),
          }),
      commits: () => server.files.size,
      secrets: ['secret-of-the-user', 'another-secret'],
      close: () => server.close(),
    };
  });
}
