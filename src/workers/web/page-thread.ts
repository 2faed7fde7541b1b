import { OrbweaverError } from '../../errors.js';

/** A thread as its executor sees it. */
export interface PageThread {
  post(message: unknown, transfer: readonly ArrayBuffer[]): void;
  /** Ends it at once. No listener is called any more. */
  terminate(): void;
}

/** What becomes of a thread. */
export interface PageThreadEvents {
  onMessage(message: unknown): void;
  /** It is of no use any more: its program could not be loaded, or failed outside of a message. */
  onError(error: OrbweaverError): void;
}

/** Starts a thread that runs the worker program. @throws OrbweaverError `WORKER_FAILED` */
export type SpawnPageThread = (events: PageThreadEvents) => PageThread;

/** The part of a page's `Worker` that is used. */
interface PageWorker {
  postMessage(message: unknown, transfer: readonly ArrayBuffer[]): void;
  terminate(): void;
  addEventListener(type: string, listener: (event: PageEvent) => void): void;
}

interface PageEvent {
  readonly data?: unknown;
  readonly message?: string;
  preventDefault(): void;
}

export type PageWorkerConstructor = new (
  url: URL | string,
  options: { readonly type: 'module'; readonly name: string },
) => PageWorker;

/** Threads that are module workers of a page. `start` makes one, with the URL that bundlers look for. */
export function pageThreads(start: () => PageWorker): SpawnPageThread {
  return ({ onMessage, onError }) => {
    let ended = false;
    const worker = started(start);
    worker.addEventListener('message', ({ data }) => {
      if (!ended) onMessage(data);
    });
    const failed = (text: string): void => {
      if (ended) return;
      ended = true;
      worker.terminate();
      onError(failure(text));
    };
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      // Without a text the program was not found, or the page does not allow it.
      failed(event.message || 'its program could not be loaded');
    });
    worker.addEventListener('messageerror', () => failed('it was sent what it cannot read'));
    return {
      post: (message, transfer) => worker.postMessage(message, transfer),
      terminate() {
        ended = true;
        worker.terminate();
      },
    };
  };
}

function started(start: () => PageWorker): PageWorker {
  try {
    return start();
  } catch (error) {
    throw failure(error instanceof Error ? error.message : String(error), error);
  }
}

function failure(text: string, cause?: unknown): OrbweaverError {
  return new OrbweaverError('WORKER_FAILED', `a web worker failed: ${text}`, {}, cause);
}
