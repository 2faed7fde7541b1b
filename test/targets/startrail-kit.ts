import type { Exchange } from '../../src/http/index.js';
import { bytesSource } from '../../src/io/index.js';
import { type MetadataServer, startMetadataServer } from '../../src/target-servers/index.js';
import {
  createStartrailTarget,
  runTargets,
  type StartrailOptions,
  type TargetResult,
  type TransferProgress,
} from '../../src/transport/targets.js';
import { digests, type MemoryJournal } from './support.js';
import { createVirtualTime, type VirtualTime } from './virtual-time.js';

/** A metadata server, and time that passes by itself. */
export interface StartrailKit {
  readonly server: MetadataServer;
  readonly time: VirtualTime;
  options(more?: Partial<StartrailOptions>): StartrailOptions;
  /** Uploads one file; the server calculates with every step of time. */
  upload(input: StartrailUpload): Promise<TargetResult>;
  /** Uploads several in one go. */
  uploadAll(
    files: readonly { readonly name: string; readonly bytes: Uint8Array }[],
    input?: Omit<StartrailUpload, 'bytes' | 'name'>,
  ): Promise<readonly (TargetResult | Error)[]>;
  close(): Promise<void>;
}

export interface StartrailUpload {
  readonly bytes: Uint8Array;
  readonly name?: string;
  readonly journal?: MemoryJournal;
  readonly options?: Partial<StartrailOptions>;
  readonly onProgress?: (progress: TransferProgress) => void;
  /** Instead of a tick with every step. */
  readonly onStep?: (nowMs: number) => void | Promise<void>;
  readonly signal?: AbortSignal;
  readonly reopenable?: boolean;
  readonly exchange?: Exchange;
}

export async function startrailKit(
  options: Parameters<typeof startMetadataServer>[0] = {},
): Promise<StartrailKit> {
  const time = createVirtualTime();
  const server = await startMetadataServer({ clock: time.clock, ...options });
  const optionsOf = (more: Partial<StartrailOptions> = {}): StartrailOptions => ({
    url: server.url,
    apiKey: server.apiKey,
    issuer: server.issuer,
    exchange: time.watch(server.exchange),
    clock: time.clock,
    random: () => 0.5,
    ...more,
  });
  const uploadAll: StartrailKit['uploadAll'] = (files, input = {}) => {
    const { exchange, onStep = () => server.tick() } = input;
    const target = createStartrailTarget(
      optionsOf({
        ...(exchange === undefined ? {} : { exchange: time.watch(exchange) }),
        ...input.options,
      }),
    );
    const inputs = files.map(({ name, bytes }) => {
      const source = bytesSource(bytes, name);
      return {
        source: input.reopenable === false ? { ...source, reopenable: false } : source,
        options: {
          clock: time.clock,
          random: () => 0.5,
          digests,
          journal: input.journal,
          onProgress: input.onProgress,
          signal: input.signal,
        },
      };
    });
    return time.run(runTargets(inputs, target), onStep);
  };
  return {
    server,
    time,
    options: optionsOf,
    uploadAll,
    async upload(input) {
      const [outcome] = await uploadAll(
        [{ name: input.name ?? 'a.bin', bytes: input.bytes }],
        input,
      );
      if (outcome === undefined || outcome instanceof Error) throw outcome;
      return outcome;
    },
    close: () => server.close(),
  };
}
