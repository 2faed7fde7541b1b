import type { Clock } from '../../../flow/index.js';
import { objectOf, textOf } from '../json-fields.js';
import { finalStatus, type VolumeState } from './details.js';

/**
 * What tasks say over WebSockets: words for the progress, and nothing else. They vanish when the
 * server restarts, so nothing is ever decided by them.
 */

/** Opens a WebSocket, passes on its texts and resolves nothing: the returned function closes it. */
export type OpenSocket = (
  url: URL,
  on: { readonly text: (text: string) => void; readonly end: () => void },
) => () => void;

/** The last words of tasks. */
export interface TaskSockets {
  /** Listens to the tasks that are under way, and to no others. */
  follow(volumes: readonly VolumeState[]): void;
  /** Empty: it said nothing yet. */
  saidBy(taskId: string): string;
  close(): void;
}

/** Connections at once; further tasks are told by their details alone. */
const MAX_SOCKETS = 16;
/** A socket that ended early is opened again after so long, ms. */
const REOPEN_MS = 60_000;

export function createTaskSockets(
  open: OpenSocket | undefined,
  urlOf: (taskId: string) => URL,
  clock: Clock,
): TaskSockets {
  const said = new Map<string, string>();
  const sockets = new Map<string, () => void>();
  const endedMs = new Map<string, number>();

  const start = (taskId: string): void => {
    if (open === undefined) return;
    endedMs.delete(taskId);
    // It may end before `open` returns.
    sockets.set(taskId, () => {});
    const close = open(urlOf(taskId), {
      text(text) {
        const status = statusOf(text);
        if (status !== '') said.set(taskId, status);
        if (finalStatus(status) !== null) stop(taskId);
      },
      end() {
        sockets.delete(taskId);
        endedMs.set(taskId, clock.now());
      },
    });
    if (sockets.has(taskId)) sockets.set(taskId, close);
    else close();
  };
  const stop = (taskId: string): void => {
    const close = sockets.get(taskId);
    sockets.delete(taskId);
    endedMs.set(taskId, clock.now());
    close?.();
  };

  return {
    follow(volumes) {
      const running = new Set(
        volumes.flatMap(({ taskId, concluded }) => (taskId === '' || concluded ? [] : [taskId])),
      );
      for (const taskId of [...sockets.keys()]) if (!running.has(taskId)) stop(taskId);
      for (const taskId of running) {
        const ended = endedMs.get(taskId);
        const rests = ended !== undefined && clock.now() - ended < REOPEN_MS;
        if (!sockets.has(taskId) && !rests && sockets.size < MAX_SOCKETS) start(taskId);
      }
    },
    saidBy: (taskId) => said.get(taskId) ?? '',
    close() {
      for (const taskId of [...sockets.keys()]) stop(taskId);
    },
  };
}

/** `{"date","status"}`; anything else says nothing. */
function statusOf(text: string): string {
  try {
    return textOf(objectOf(JSON.parse(text))?.['status']).slice(0, 200);
  } catch {
    return '';
  }
}

/** WebSockets of undici, which is loaded when the first one is opened. */
export const openUndiciSocket: OpenSocket = (url, on) => {
  let closed = false;
  let close = (): void => {};
  void import('undici').then(
    ({ WebSocket }) => {
      if (closed) return;
      const socket = new WebSocket(url);
      socket.addEventListener('message', ({ data }) => {
        if (!closed && typeof data === 'string') on.text(data);
      });
      socket.addEventListener('error', () => undefined);
      socket.addEventListener('close', () => {
        if (!closed) on.end();
        closed = true;
      });
      close = () => socket.close();
    },
    () => on.end(),
  );
  return () => {
    closed = true;
    close();
  };
};
