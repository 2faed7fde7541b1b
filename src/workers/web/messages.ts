import type { Sha256Setup, TaskFailure, WorkerSetup } from '../messages.js';

/** First message to a worker: what it is going to be. */
export type PageThreadSetup =
  | { readonly program: 'tasks'; readonly id: number; readonly setup: WorkerSetup }
  | { readonly program: 'sha256'; readonly id: number; readonly setup: Sha256Setup }
  | { readonly program: 'files'; readonly id: number };

/** What a worker says: it is ready (once), it cannot start, or what a message came to. */
export type PageThreadReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly failure: TaskFailure }
  | { readonly kind: 'reply'; readonly reply: unknown };
