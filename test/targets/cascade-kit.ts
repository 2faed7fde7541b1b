import { OrbweaverError } from '../../src/errors.js';
import type { Exchange } from '../../src/http/index.js';
import { bytesSource } from '../../src/io/index.js';
import { type CascadeServer, startCascadeServer } from '../../src/target-servers/index.js';
import {
  type BurnPayment,
  type CascadeOptions,
  createCascadeTarget,
} from '../../src/transport/targets/cascade/index.js';
import type { TargetResult, TransferProgress } from '../../src/transport/targets/ports.js';
import { runTarget } from '../../src/transport/targets/run-target.js';
import { digests, type MemoryJournal } from './support.js';
import { createVirtualTime, type VirtualTime } from './virtual-time.js';

/** A Cascade server, time that passes by itself, and a wallet. */
export interface CascadeKit {
  readonly server: CascadeServer;
  readonly time: VirtualTime;
  readonly payments: BurnPayment[];
  options(more?: Partial<CascadeOptions>): CascadeOptions;
  /** Uploads; a block comes with every step of time. */
  upload(input: UploadInput): Promise<TargetResult>;
  close(): Promise<void>;
}

export interface UploadInput {
  readonly bytes: Uint8Array;
  readonly name?: string;
  readonly journal?: MemoryJournal;
  readonly options?: Partial<CascadeOptions>;
  readonly onProgress?: (progress: TransferProgress) => void;
  readonly onStep?: (server: CascadeServer) => unknown;
  readonly signal?: AbortSignal;
  /** False: the source can be read once only. */
  readonly reopenable?: boolean;
  readonly exchange?: Exchange;
}

const MINUTE_MS = 60_000;

export async function cascadeKit(
  options: Parameters<typeof startCascadeServer>[0] = {},
): Promise<CascadeKit> {
  const time = createVirtualTime();
  const server = await startCascadeServer({ clock: time.clock, ...options });
  const payments: BurnPayment[] = [];
  const optionsOf = (more: Partial<CascadeOptions> = {}): CascadeOptions => ({
    url: server.url,
    pastelId: server.pastelId,
    passphrase: server.passphrase,
    acceptCost: true,
    payBurn: async (payment) => {
      payments.push(payment);
      return server.burn(Number(payment.amount), payment.reference);
    },
    findBurn: async ({ reference }) => server.burnsOf(reference)[0]?.txid ?? null,
    exchange: time.watch(server.exchange),
    clock: time.clock,
    random: () => 0.5,
    ...more,
  });
  return {
    server,
    time,
    payments,
    options: optionsOf,
    upload(input) {
      const { exchange } = input;
      const target = createCascadeTarget(
        optionsOf({
          ...(exchange === undefined ? {} : { exchange: time.watch(exchange) }),
          ...input.options,
        }),
      );
      const source = bytesSource(input.bytes, input.name ?? 'a.bin');
      return time.run(
        runTarget(input.reopenable === false ? { ...source, reopenable: false } : source, target, {
          clock: time.clock,
          random: () => 0.5,
          digests,
          journal: input.journal,
          onProgress: input.onProgress,
          signal: input.signal,
        }),
        async (nowMs) => {
          await input.onStep?.(server);
          // A block takes two and a half minutes; the test's are quicker.
          if (nowMs < 72 * 60 * MINUTE_MS) server.advance();
        },
      );
    },
    async close() {
      await server.close();
    },
  };
}

/** The error that a promise is rejected with. */
export async function failureOf(work: Promise<unknown>): Promise<OrbweaverError> {
  try {
    await work;
  } catch (error) {
    return error as OrbweaverError;
  }
  throw new Error('expected a failure, got none');
}

export function declined(): OrbweaverError {
  return new OrbweaverError('PAYMENT_REQUIRED', 'no coins left');
}
