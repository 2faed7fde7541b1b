import { rm } from 'node:fs/promises';
import type { Contender } from './contender.js';
import type { Input } from './inputs.js';
import type { ProcessRun } from './run-process.js';
import type { BenchContext } from './scenario.js';
import { type ServerProcess, startServer } from './server-process.js';
import { linkTree } from './work-folder.js';

/** A folder with a gateway over it. */
export interface GatewayStore {
  readonly data: string;
  readonly server: ServerProcess;
  /** Ends the gateway; the folder stays. */
  stop(): Promise<void>;
  /** Ends the gateway and removes the folder. */
  remove(): Promise<void>;
}

/** What lies between a gateway and its clients. */
export interface BenchLink {
  /** Time of one direction. */
  readonly oneWayMs?: number;
  /** With a certificate that only this run knows. */
  readonly tls?: boolean;
}

interface StoreOptions {
  readonly copyOf?: string | undefined;
  readonly workers?: number | undefined;
  readonly link?: BenchLink | undefined;
}

/** Starts a gateway over an empty folder, or over a copy of another store's. */
export async function openGatewayStore(
  context: BenchContext,
  options: StoreOptions = {},
): Promise<GatewayStore> {
  const data = context.freshPath('store');
  if (options.copyOf !== undefined) await linkTree(options.copyOf, data);
  const { workers, link } = options;
  const certPath = link?.tls === true ? context.freshPath('cert') : undefined;
  const spec = link === undefined ? undefined : { oneWayMs: link.oneWayMs, certPath };
  const server = await startServer({ kind: 'gateway', data, workers, link: spec });
  return {
    data,
    server,
    stop: server.stop,
    remove: async () => {
      await server.stop();
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** Uploads inputs one after another, each as a session of its own; nothing is measured. */
export async function fill(
  context: BenchContext,
  options: {
    readonly server: ServerProcess;
    readonly contender: Contender;
    readonly inputs: readonly Input[];
  },
): Promise<ProcessRun[]> {
  const runs: ProcessRun[] = [];
  for (const { paths } of options.inputs) {
    const work = { op: 'upload', server: options.server.target, paths } as const;
    runs.push(await context.runWork(options.contender, work));
  }
  return runs;
}
