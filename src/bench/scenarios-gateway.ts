import { rm } from 'node:fs/promises';
import type { Contender } from './contender.js';
import { type BenchLink, fill, openGatewayStore } from './gateway-store.js';
import type { Input, InputPair } from './inputs.js';
import { createHashCheck, measure } from './measure.js';
import { newDataOf } from './new-data.js';
import type { BenchContext, Scenario } from './scenario.js';
import { folderBytes } from './work-folder.js';

/** Uploads to the gateway. Each run meets a store of its own, in the same state as all others. */

/** What is in the store before, and what is uploaded then. */
export interface GatewayStory {
  readonly before: readonly Input[];
  readonly input: Input;
  /** The pair whose difference is all that has to be sent; null when it is not a second version. */
  readonly pair: InputPair | null;
  /** @default none, both are on this machine */
  readonly link?: BenchLink | undefined;
}

/**
 * An upload to a gateway that already has something, sent there by the same contender, as an earlier
 * session that nothing but the server remembers.
 */
export function gatewayScenario(
  name: string,
  question: string,
  tell: (context: BenchContext) => Promise<GatewayStory>,
): Scenario {
  return {
    name,
    question,
    ability: 'upload',
    // Two versions, the store before, the copy of it that grows.
    folderInputs: 4,
    open: async (context) => {
      const { before, input, pair, link } = await tell(context);
      const newData = pair === null ? null : await newDataOf(pair);
      const prepared = new Map<string, string>();
      const { check } = createHashCheck();

      const storeBefore = async (contender: Contender): Promise<string | undefined> => {
        if (before.length === 0) return undefined;
        const known = prepared.get(contender.name);
        if (known !== undefined) return known;
        const store = await openGatewayStore(context);
        try {
          await fill(context, { server: store.server, contender, inputs: before });
        } finally {
          await store.stop();
        }
        prepared.set(contender.name, store.data);
        return store.data;
      };
      return {
        inputBytes: input.sizeBytes,
        newData,
        run: async (contender) => {
          const store = await openGatewayStore(context, {
            copyOf: await storeBefore(contender),
            link,
          });
          try {
            const bytesBefore = await folderBytes(store.data);
            const work = { op: 'upload', server: store.server.target, paths: input.paths } as const;
            const { sample, run } = await measure(context, contender, work, store.server);
            check(run);
            // The gateway answers when all is written, so the folder is complete now.
            return { ...sample, storedBytes: (await folderBytes(store.data)) - bytesBefore };
          } finally {
            await store.remove();
          }
        },
        close: async () => {
          for (const data of prepared.values()) await rm(data, { recursive: true, force: true });
        },
      };
    },
  };
}

/** An upload of the second of two versions. */
export function secondVersion(
  name: string,
  question: string,
  pairOf: (context: BenchContext) => Promise<InputPair>,
): Scenario {
  return gatewayScenario(name, question, async (context) => {
    const pair = await pairOf(context);
    return { before: [pair.first], input: pair.second, pair };
  });
}
