import { startCascadeServer } from '../../src/target-servers/index.js';
import { createCascadeTarget } from '../../src/transport/targets.js';
import { describeTarget } from './conformance.js';
import { impatientClock } from './support.js';

describeTarget('cascade', async () => {
  const clock = impatientClock();
  const server = await startCascadeServer({ clock });
  return {
    clock,
    target: () =>
      createCascadeTarget({
        url: server.url,
        pastelId: server.pastelId,
        passphrase: server.passphrase,
        acceptCost: true,
        payBurn: async ({ amount, reference }) => server.burn(Number(amount), reference),
        findBurn: async ({ reference }) => server.burnsOf(reference)[0]?.txid ?? null,
        exchange: server.exchange,
        clock,
        random: () => 0.5,
      }),
    stored: ({ ids }) => server.read(ids['fileId'] ?? ''),
    loseResponse(step) {
      if (step === 'send') server.faults.loseUploadResponse = true;
      else server.faults.loseStartResponse = true;
    },
    refuse() {
      server.faults.refuse = true;
    },
    damage() {
      server.faults.wrongHash = true;
    },
    commits: () => server.counts.starts,
    // Between the entry and the start itself: what was sent is not sent again.
    unknowable: (last) => (last?.['data'] as { kind?: string } | undefined)?.kind === 'start',
    secrets: [server.passphrase, ...server.passphrase.split(' ')],
    tick: () => server.advance(),
    close: () => server.close(),
  };
});
