import { mkdir, rm } from 'node:fs/promises';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { fill, openGatewayStore } from './gateway-store.js';
import { runProcess } from './run-process.js';
import type { Scenario } from './scenario.js';
import type { InputMaker } from './scenarios-local.js';
import { startServer } from './server-process.js';
import { folderBytes } from './work-folder.js';

const MAIN = fileURLToPath(new URL('./run-ingest.js', import.meta.url));

/** Numbers of verifying threads, by contender. */
const WORKERS: Readonly<Record<string, number | undefined>> = { 'orbweaver, 0 workers': 0 };

/**
 * How fast a gateway takes and verifies: the bodies of an upload, recorded before, are posted again
 * by a sender that does nothing else. Time and memory are those of the gateway.
 */
export function ingestScenario(name: string, question: string, input: InputMaker): Scenario {
  return {
    name,
    question,
    ability: 'upload',
    // Input, recorded bodies, store.
    folderInputs: 3,
    contenders: ({ orbweaver, variant }) => [
      orbweaver,
      ...Object.keys(WORKERS).map((label) => variant(label, {})),
    ],
    open: async (context) => {
      const made = await input(context);
      const keepDir = context.freshPath('bodies');
      await mkdir(keepDir);
      const sink = await startServer({ kind: 'sink', keepDir });
      try {
        const { orbweaver } = context;
        await fill(context, { server: sink, contender: orbweaver, inputs: [made] });
      } finally {
        await sink.stop();
      }
      return {
        inputBytes: made.sizeBytes,
        newData: null,
        run: async (contender) => {
          const store = await openGatewayStore(context, { workers: WORKERS[contender.name] });
          try {
            const { endpoint, token } = store.server.target;
            await store.server.reset();
            const sender = await runProcess({
              command: process.execPath,
              args: [MAIN],
              input: JSON.stringify({ endpoint, token, folder: keepDir }),
              signal: context.signal,
            });
            const counts = await store.server.counts();
            return {
              wallMs: Number(sender.result['ingestMs']),
              cpuMs: counts.serverCpuMs,
              peakBytes: counts.peakBytes,
              wireUpBytes: counts.wireUpBytes,
              wireDownBytes: counts.wireDownBytes,
              requests: counts.requests,
              storedBytes: await folderBytes(store.data),
              serverCpuMs: counts.serverCpuMs,
            };
          } finally {
            await store.remove();
          }
        },
        close: () => rm(keepDir, { recursive: true, force: true }),
      };
    },
  };
}
