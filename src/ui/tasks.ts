import { isAbort, messageOf } from './api.js';
import { createStore, type Store } from './store.js';

/** Uploads and downloads of this page. They go on while somebody looks at another view. */
export interface Task {
  readonly id: number;
  readonly kind: 'upload' | 'download';
  readonly title: string;
  readonly state: 'running' | 'done' | 'failed' | 'cancelled';
  /** What it is doing, or how it ended, in words. */
  readonly step: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Milliseconds since 1970. */
  readonly startedMs: number;
  readonly endedMs: number | null;
  /** Files that could not be moved; the others were. */
  readonly failures: readonly FileFailure[];
  readonly cancel: () => void;
}

export interface FileFailure {
  readonly path: string;
  readonly message: string;
}

export type TaskUpdate = Partial<Pick<Task, 'step' | 'doneBytes' | 'totalBytes' | 'failures'>>;

export const tasks: Store<readonly Task[]> = createStore<readonly Task[]>([]);

/** Read out by screen readers. */
export const announcement: Store<string> = createStore('');

/** Tasks that are over and still listed. */
const MAX_KEPT = 50;

let lastId = 0;

/** Runs `work` as a task of the list. What it returns is how it ended, in words. */
export async function runTask(
  facts: Pick<Task, 'kind' | 'title' | 'totalBytes'>,
  work: (update: (change: TaskUpdate) => void, signal: AbortSignal) => Promise<string>,
): Promise<Task['state']> {
  const id = ++lastId;
  const stop = new AbortController();
  const change = (next: Partial<Task>): void =>
    tasks.set(tasks.get().map((task) => (task.id === id ? { ...task, ...next } : task)));
  const end = (state: Task['state'], step: string): Task['state'] => {
    change({ state, step, endedMs: Date.now() });
    announcement.set(`${facts.title}: ${step}`);
    return state;
  };
  const kept = tasks.get().filter((task, at) => task.state === 'running' || at < MAX_KEPT);
  const first: Task = {
    ...{ ...facts, id, state: 'running', step: 'starting', doneBytes: 0, failures: [] },
    ...{ startedMs: Date.now(), endedMs: null },
    cancel: () => stop.abort(new DOMException('cancelled', 'AbortError')),
  };
  tasks.set([first, ...kept]);
  announcement.set(`${facts.title}: started`);
  const tell = told(facts.title);
  try {
    const step = await work((update) => {
      change(update);
      tell(tasks.get().find((task) => task.id === id));
    }, stop.signal);
    const failures = tasks.get().find((task) => task.id === id)?.failures ?? [];
    return end(failures.length > 0 ? 'failed' : 'done', step);
  } catch (error) {
    if (stop.signal.aborted || isAbort(error)) return end('cancelled', 'cancelled');
    return end('failed', messageOf(error));
  }
}

/** Tells each quarter once: more would talk over everything else. */
function told(title: string): (task: Task | undefined) => void {
  let quarter = 0;
  return (task) => {
    if (task === undefined || task.totalBytes === 0) return;
    const now = Math.floor((4 * task.doneBytes) / task.totalBytes);
    if (now <= quarter || now >= 4) return;
    quarter = now;
    announcement.set(`${title}: ${25 * now} percent`);
  };
}

export function clearTasks(): void {
  tasks.set(tasks.get().filter(({ state }) => state === 'running'));
}
