import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { apiJson } from './api.js';
import { bytesText, durationText, plural, rateText } from './format.js';
import { useLoad } from './hooks.js';
import { Empty, Problem, ViewTitle, Waiting } from './parts.js';
import type { Session } from './session.js';
import { useStore } from './store.js';
import { TaskList } from './task-list.js';
import { clearTasks, tasks } from './tasks.js';

interface ActiveRequest {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly principal: string | null;
  readonly tenant: string | null;
  readonly ageMs: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

interface Now {
  readonly nowMs: number;
  readonly activeCount: number;
  readonly active: readonly ActiveRequest[];
  readonly memory: { readonly usedBytes: number; readonly maxBytes: number } | null;
}

const REFRESH_MS = 2000;

export function Transfers({ session }: { session: Session }): JSX.Element {
  const own = useStore(tasks);
  const now = useLoad<Now>('now', (signal) => apiJson('ui/api/now', { signal }), REFRESH_MS);
  return (
    <>
      <ViewTitle title="Transfers">Transfers</ViewTitle>
      <section aria-labelledby="own">
        <h2 id="own">Uploads and downloads of this page</h2>
        {own.length === 0 && (
          <Empty>None yet. Open a repository to upload into it or download from it.</Empty>
        )}
        <TaskList />
        {own.some(({ state }) => state !== 'running') && (
          <button type="button" onClick={clearTasks}>
            Clear what is over
          </button>
        )}
      </section>
      <section aria-labelledby="active">
        <h2 id="active">
          {session.scope === 'admin' ? 'Requests of all tenants' : 'Requests to the gateway'}
        </h2>
        {now.error !== null && <Problem message={now.error} retry={now.reload} />}
        {now.value === null && now.error === null && <Waiting what="requests" />}
        {now.value !== null && <Active now={now.value} showsTenants={session.scope === 'admin'} />}
      </section>
    </>
  );
}

/** Bytes per second of each request since the last look. */
function useRates(now: Now): ReadonlyMap<string, number> {
  const before = useRef<{
    atMs: number;
    bytes: ReadonlyMap<string, number>;
    rates: ReadonlyMap<string, number>;
  }>({
    ...{ atMs: 0, bytes: new Map(), rates: new Map() },
  });
  const { atMs, bytes, rates } = before.current;
  if (now.nowMs === atMs) return rates;
  const next = new Map(now.active.map((each) => [each.id, each.receivedBytes + each.sentBytes]));
  const found = new Map(
    now.active.map(({ id, ageMs, receivedBytes, sentBytes }) => {
      const known = bytes.get(id);
      const ms = known === undefined ? ageMs : now.nowMs - atMs;
      return [id, ms <= 0 ? 0 : (1000 * (receivedBytes + sentBytes - (known ?? 0))) / ms];
    }),
  );
  before.current = { atMs: now.nowMs, bytes: next, rates: found };
  return found;
}

function Active({ now, showsTenants }: { now: Now; showsTenants: boolean }): JSX.Element {
  const rates = useRates(now);
  const { active, activeCount, memory } = now;
  const whole = [...rates.values()].reduce((sum, rate) => sum + rate, 0);
  return (
    <>
      <p class="note">
        {plural(activeCount, 'request')} in flight{activeCount > 0 ? `, ${rateText(whole)}` : ''}
        {memory === null
          ? ''
          : ` · bodies and responses hold ${bytesText(memory.usedBytes)} of ${bytesText(memory.maxBytes)}`}
      </p>
      {activeCount > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard
        <section class="scroll" tabIndex={0} aria-label="Requests in flight">
          <table>
            <thead>
              <tr>
                <th scope="col">Request</th>
                <th scope="col">Who</th>
                <th scope="col" class="number">
                  For
                </th>
                <th scope="col" class="number">
                  In
                </th>
                <th scope="col" class="number">
                  Out
                </th>
                <th scope="col" class="number">
                  Rate
                </th>
              </tr>
            </thead>
            <tbody>
              {active.map((each) => (
                <tr key={each.id}>
                  <td class="path">
                    {each.method} <code>{each.path}</code>
                  </td>
                  <td>
                    {each.principal ?? '—'}
                    {showsTenants && each.tenant !== null ? ` (${each.tenant})` : ''}
                  </td>
                  <td class="number">{durationText(each.ageMs)}</td>
                  <td class="number">{bytesText(each.receivedBytes)}</td>
                  <td class="number">{bytesText(each.sentBytes)}</td>
                  <td class="number">{rateText(rates.get(each.id) ?? 0)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </>
  );
}
