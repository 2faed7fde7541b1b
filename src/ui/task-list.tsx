import type { JSX } from 'preact';
import { bytesText, percentText, plural, rateText } from './format.js';
import { useStore } from './store.js';
import { type Task, tasks } from './tasks.js';

/** This page's own uploads and downloads, the last first. */
export function TaskList({
  kind,
  most,
}: {
  kind?: Task['kind'];
  most?: number;
}): JSX.Element | null {
  const all = useStore(tasks).filter((task) => kind === undefined || task.kind === kind);
  const shown = most === undefined ? all : all.slice(0, most);
  if (shown.length === 0) return null;
  return (
    <ul class="rows tasks">
      {shown.map((task) => (
        <TaskRow key={task.id} task={task} />
      ))}
    </ul>
  );
}

const MAX_FAILURES = 20;

function TaskRow({ task }: { task: Task }): JSX.Element {
  const { kind, title, state, step, doneBytes, totalBytes, failures, cancel, startedMs, endedMs } =
    task;
  const isRunning = state === 'running';
  const seconds = ((endedMs ?? Date.now()) - startedMs) / 1000;
  const rate = seconds > 0.5 ? ` · ${rateText(doneBytes / seconds)}` : '';
  return (
    <li class={state}>
      <div class="task">
        <p>
          <b>{title}</b>{' '}
          <span class="note">
            {kind} · {step}
          </span>
        </p>
        {isRunning && (
          <button type="button" aria-label={`Cancel the ${kind} of ${title}`} onClick={cancel}>
            Cancel
          </button>
        )}
      </div>
      {isRunning && (
        <progress
          max={Math.max(1, totalBytes)}
          value={doneBytes}
          aria-label={`Progress of ${title}`}
        />
      )}
      <p class="note">
        {isRunning
          ? `${bytesText(doneBytes)} of ${bytesText(totalBytes)} · ${percentText(doneBytes, totalBytes)}${rate}`
          : `${bytesText(totalBytes)}${state === 'done' ? rate : ''}`}
      </p>
      {failures.length > 0 && (
        <details>
          <summary>{plural(failures.length, 'file')} failed</summary>
          <ul>
            {failures.slice(0, MAX_FAILURES).map(({ path, message }) => (
              <li key={path}>
                <code>{path}</code>: {message}
              </li>
            ))}
            {failures.length > MAX_FAILURES && <li>and {failures.length - MAX_FAILURES} more</li>}
          </ul>
        </details>
      )}
    </li>
  );
}
