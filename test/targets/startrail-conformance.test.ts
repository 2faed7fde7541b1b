import { startMetadataServer } from '../../src/target-servers/index.js';
import { createStartrailTarget } from '../../src/transport/targets.js';
import { describeTarget } from './conformance.js';
import { impatientClock } from './support.js';

describeTarget('startrail', async () => {
  const clock = impatientClock();
  const server = await startMetadataServer({ clock });
  // However slow the disk is: no request overtakes the calculation.
  let ticked: Promise<void> = Promise.resolve();
  return {
    clock,
    target: () =>
      createStartrailTarget({
        url: server.url,
        apiKey: server.apiKey,
        issuer: server.issuer,
        // The suite sends other contents under the same name, which holds a space.
        uniqueName: true,
        safeName: true,
        exchange: async (request) => {
          await ticked;
          return server.exchange(request);
        },
        clock,
        random: () => 0.5,
      }),
    stored: ({ ids }) => server.read(ids['filename'] ?? ''),
    loseResponse() {
      server.faults.losePutResponse = true;
    },
    refuse() {
      server.faults.refuse = true;
    },
    damage() {
      server.faults.wrongHash = true;
    },
    commits: () => server.counts.stored,
    secrets: [server.apiKey, 'X-Goog-Signature'],
    tick() {
      ticked = server.tick();
    },
    close: () => server.close(),
  };
});
