import type { Contender } from './contender.js';
import { type BenchLink, fill, type GatewayStore, openGatewayStore } from './gateway-store.js';
import { type InputPair, onlyPath } from './inputs.js';
import { measureDownload, onlyHash } from './measure.js';
import type { BenchContext, Scenario } from './scenario.js';
import type { InputMaker } from './scenarios-local.js';

/** Downloads from the gateway. All contenders read the same store, which orbweaver has filled. */

/** A whole file, or the part of it that `part` names. */
export function downloadScenario(
  name: string,
  question: string,
  options: {
    readonly input: InputMaker;
    readonly link?: BenchLink | undefined;
    readonly part?: ((sizeBytes: number) => { start: number; end: number }) | undefined;
  },
): Scenario {
  return {
    name,
    question,
    ability: options.part === undefined ? 'download' : 'download-range',
    // Input, store, output.
    folderInputs: 3,
    open: async (context) => {
      const input = await options.input(context);
      const original = onlyPath(input);
      const range = options.part?.(input.sizeBytes) ?? null;
      const store = await openGatewayStore(context, { link: options.link });
      try {
        const { server } = store;
        const [run] = await fill(context, {
          server,
          contender: context.orbweaver,
          inputs: [input],
        });
        if (run === undefined) throw new Error('expected one upload');
        const hash = onlyHash(run);
        return {
          inputBytes: range === null ? input.sizeBytes : range.end - range.start,
          newData: null,
          run: (contender) =>
            measureDownload(context, contender, { server, hash, original, range }),
          close: store.remove,
        };
      } catch (error) {
        await store.remove();
        throw error;
      }
    },
  };
}

const ALONE = ', stored alone';
const DEDUPLICATED = ', deduplicated';

/**
 * What deduplication costs the reader: the second of two versions, read from a store that has it
 * alone and from one where it was added to the first.
 */
export function readBackScenario(
  name: string,
  question: string,
  pairOf: (context: BenchContext) => Promise<InputPair>,
): Scenario {
  return {
    name,
    question,
    ability: 'download',
    // Two versions, a store with one, a store with both, output.
    folderInputs: 6,
    contenders: ({ orbweaver, peers }) =>
      [orbweaver, ...peers].flatMap((base): Contender[] => [
        { ...base, name: `${base.name}${ALONE}` },
        { ...base, name: `${base.name}${DEDUPLICATED}` },
      ]),
    open: async (context) => {
      const { first, second } = await pairOf(context);
      const original = onlyPath(second);
      const stores: GatewayStore[] = [];
      const close = async (): Promise<void> => {
        for (const store of stores) await store.remove();
      };
      const stored = async (inputs: readonly (typeof second)[]): Promise<string> => {
        const store = await openGatewayStore(context);
        stores.push(store);
        const runs = await fill(context, {
          server: store.server,
          contender: context.orbweaver,
          inputs,
        });
        return onlyHash(runs[runs.length - 1] as (typeof runs)[number]);
      };
      try {
        const hash = await stored([second]);
        await stored([first, second]);
        return {
          inputBytes: second.sizeBytes,
          newData: null,
          run: (contender) => {
            const store = stores[contender.name.endsWith(ALONE) ? 0 : 1] as GatewayStore;
            return measureDownload(context, contender, {
              server: store.server,
              hash,
              original,
              range: null,
            });
          },
          close,
        };
      } catch (error) {
        await close();
        throw error;
      }
    },
  };
}
