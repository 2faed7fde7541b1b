import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { isOrbweaverError } from '../../errors.js';
import type { Clock } from '../../flow/index.js';
import type { Exchange } from '../../http/index.js';
import { checkOptions, is } from '../../options/index.js';
import { SYSTEM_CLOCK } from '../../platform/index.js';
import { hexId, textId } from '../ids.js';
import { type ListenOptions, listen } from '../listen.js';
import { ConnectionCut, jsonResponse } from '../messages.js';
import { advanceBlock, runRestoreWorker } from './chain.js';
import { advanceDownloads, contentOf } from './download.js';
import type { CascadeFaults } from './faults.js';
import { GoaError } from './goa-error.js';
import type { CascadeBurn, CascadeCounts, CascadeFile, CascadeState } from './model.js';
import { routeCascade } from './routes.js';
import { acceptSocket } from './web-socket.js';

/** How a Cascade server behaves. */
export interface CascadeServerOptions extends Pick<ListenOptions, 'host' | 'port'> {
  /** Files larger than this become volumes, bytes. @default 65536 */
  readonly volumeBytes?: number | undefined;
  /** The storage fee is by the started unit of so many bytes. @default 16384 */
  readonly feeUnitBytes?: number | undefined;
  /** @default a random one of two words */
  readonly passphrase?: string | undefined;
  /** Time between two blocks, ms; 0: blocks come by `advance` only. @default 0 */
  readonly blockMs?: number | undefined;
  /** Time between two runs of the worker that restores, ms; 0: `runRestoreWorker` only. @default 0 */
  readonly restoreIntervalMs?: number | undefined;
  /** @default the clock of the machine */
  readonly clock?: Clock | undefined;
  readonly faults?: CascadeFaults | undefined;
}

/** A Cascade server with a wallet. */
export interface CascadeServer {
  /** Origin. */
  readonly url: string;
  /** The same without a socket. */
  readonly exchange: Exchange;
  readonly passphrase: string;
  readonly pastelId: string;
  /** To be changed at any time. */
  readonly faults: CascadeFaults;
  readonly counts: Readonly<CascadeCounts>;
  /** Makes a burn transaction, as a wallet does; the same reference again: another one. */
  burn(amount: number, reference?: string): string;
  /** The burn transactions that were made under a reference. */
  burnsOf(reference: string): readonly CascadeBurn[];
  file(fileId: string): CascadeFile | undefined;
  /** The bytes of a file, as its volumes hold them. */
  read(fileId: string): Promise<Uint8Array>;
  /** So many blocks later. @default 1 */
  advance(blocks?: number): void;
  runRestoreWorker(): void;
  /** Forgets tasks, WebSockets and downloads; details and burns stay. */
  restart(): void;
  close(): Promise<void>;
}

/**
 * A Cascade walletnode on loopback with a block chain of its own: it stores, splits, checks burns,
 * registers and serves for real, and fails in every way that is asked for.
 *
 * @example
 * const server = await startCascadeServer();
 * server.advance(3);
 * await server.close();
 */
export async function startCascadeServer(
  options: CascadeServerOptions = {},
): Promise<CascadeServer> {
  checkOptions('startCascadeServer', options, {
    port: is.integer(0, 65_535),
    host: is.text,
    volumeBytes: is.integer(1),
    feeUnitBytes: is.integer(1),
    passphrase: is.text,
    blockMs: is.number(0),
    restoreIntervalMs: is.number(0),
    clock: is.object,
    faults: is.object,
  });
  const { clock = SYSTEM_CLOCK } = options;
  const state: CascadeState = {
    clock,
    faults: options.faults ?? {},
    passphrase: options.passphrase ?? `${textId(8)} ${textId(8)}`,
    pastelId: textId(86),
    volumeBytes: options.volumeBytes ?? 64 * 1024,
    feeUnitBytes: options.feeUnitBytes ?? 16 * 1024,
    dataDir: await mkdtemp(join(tmpdir(), 'orbweaver-cascade-')),
    files: new Map(),
    burns: new Map(),
    tasks: new Map(),
    downloads: new Map(),
    counts: {
      uploads: 0,
      payments: 0,
      startRequests: 0,
      starts: 0,
      restores: 0,
      downloads: 0,
      ownPayments: 0,
    },
    block: 1000,
    attemptId: 0,
  };
  const advance = (blocks = 1): void => {
    for (let block = 0; block < blocks; block++) {
      advanceBlock(state);
      advanceDownloads(state);
    }
  };
  const stops = [
    every(clock, options.blockMs ?? 0, advance),
    every(clock, options.restoreIntervalMs ?? 0, () => runRestoreWorker(state)),
  ];
  const exchange: Exchange = async (request) => {
    try {
      const pay = (amount: number, reference: string): CascadeBurn =>
        makeBurn(state, amount, reference);
      return await routeCascade(state, { request, advance, pay });
    } catch (error) {
      // A connection that breaks has no response.
      if (error instanceof ConnectionCut || isOrbweaverError(error)) throw error;
      const failure =
        error instanceof GoaError ? error : new GoaError(500, 'InternalServerError', String(error));
      return jsonResponse(failure.status, failure.json(), failure.headers());
    }
  };
  const listener = await listen(exchange, {
    ...{ host: options.host, port: options.port },
    onUpgrade: (request, socket) => watchTask(state, request, socket),
  });
  return {
    url: listener.url,
    exchange,
    passphrase: state.passphrase,
    pastelId: state.pastelId,
    faults: state.faults,
    counts: state.counts,
    burn: (amount, reference = '') => makeBurn(state, amount, reference).txid,
    burnsOf: (reference) =>
      [...state.burns.values()].filter((burn) => burn.reference === reference),
    file: (fileId) => state.files.get(fileId),
    read: (fileId) => readFile(state, fileId),
    advance,
    runRestoreWorker: () => runRestoreWorker(state),
    restart() {
      for (const task of state.tasks.values()) {
        for (const listener of [...task.listeners]) listener('', true);
      }
      state.tasks.clear();
      state.downloads.clear();
    },
    async close() {
      for (const stop of stops) stop();
      await listener.close();
      await rm(state.dataDir, { recursive: true, force: true });
    },
  };
}

/** A burn transaction in the block that comes next. */
export function makeBurn(state: CascadeState, amount: number, reference: string): CascadeBurn {
  const burn = { txid: hexId(32), amount, block: state.block, reference, usedBy: null };
  state.burns.set(burn.txid, burn);
  state.counts.payments++;
  return burn;
}

async function readFile(state: CascadeState, fileId: string): Promise<Uint8Array> {
  const file = state.files.get(fileId);
  const pieces: Uint8Array[] = [];
  if (file !== undefined) {
    for await (const piece of contentOf(file, 0, file.sizeBytes)) pieces.push(piece);
  }
  return new Uint8Array(Buffer.concat(pieces));
}

function every(clock: Clock, periodMs: number, run: () => void): () => void {
  if (periodMs === 0) return () => {};
  let stop = (): void => {};
  const next = (): void => {
    stop = clock.setTimer(periodMs, () => {
      run();
      next();
    });
  };
  next();
  return () => stop();
}

/** GET /start/{taskId}/state */
function watchTask(state: CascadeState, request: IncomingMessage, socket: Duplex): void {
  const id = /^\/openapi\/cascade\/start\/([^/]+)\/state$/.exec(request.url ?? '')?.[1];
  const task = state.tasks.get(id ?? '');
  if (task === undefined) {
    socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n');
    return;
  }
  const connection = acceptSocket(request, socket);
  if (connection === null) return;
  const send = (status: string): void =>
    connection.send(JSON.stringify({ date: new Date(state.clock.unixMs()).toISOString(), status }));
  for (const { status } of task.history) send(status);
  if (task.over) {
    connection.close();
    return;
  }
  const listener = (status: string, last: boolean): void => {
    if (status === '') {
      connection.destroy();
      return;
    }
    send(status);
    if (last) connection.close();
  };
  task.listeners.add(listener);
  connection.onClose(() => task.listeners.delete(listener));
}
