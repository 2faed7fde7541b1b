import type { JSX } from 'preact';
import { apiJson } from './api.js';
import { Chart } from './chart.js';
import {
  agoText,
  bytesText,
  countText,
  dateText,
  durationText,
  percentText,
  plural,
  rateText,
} from './format.js';
import { useLoad } from './hooks.js';
import { Empty, Problem, ViewTitle, Waiting } from './parts.js';
import type { Session } from './session.js';

interface StoreStats {
  readonly files: number;
  readonly logicalBytes: number;
  readonly uniqueBytes: number;
  readonly storedBytes: number;
  readonly objects: number;
}

interface StoreCounts {
  readonly stats: StoreStats | null;
  readonly countedMs: number | null;
  readonly isCounting: boolean;
  readonly hasFailed: boolean;
}

interface Fault {
  readonly id: string;
  readonly timeMs: number;
  readonly method: string;
  readonly path: string;
  readonly tenant: string | null;
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

interface History {
  readonly nowMs: number;
  readonly periodMs: number;
  readonly samples: Readonly<
    Record<'requests' | 'refused' | 'failed' | 'receivedBytes' | 'sentBytes', readonly number[]>
  >;
  readonly faults: readonly Fault[];
}

const REFRESH_MS = 10_000;
/** A first count is waited for; stable, so that it does not begin anew with each look. */
const countAgainMs = (counts: StoreCounts | null): number => (counts?.isCounting ? 700 : 5000);

export function Overview({ session }: { session: Session }): JSX.Element {
  const history = useLoad(
    'history',
    (signal) => apiJson<History>('ui/api/history', { signal }),
    REFRESH_MS,
  );
  const whose = session.tenant === null ? 'the store' : `tenant ${session.tenant}`;
  return (
    <>
      <ViewTitle title="Overview">What {whose} holds</ViewTitle>
      <Holdings />
      <section aria-labelledby="rates">
        <h2 id="rates">Traffic and requests</h2>
        {history.error !== null && <Problem message={history.error} retry={history.reload} />}
        {history.value !== null && <Rates {...history.value} />}
      </section>
      <section aria-labelledby="faults">
        <h2 id="faults">Faults</h2>
        {history.value !== null && <Faults {...history.value} />}
        <p class="note">
          Up for {durationText(Date.now() - session.startedMs)}, since {dateText(session.startedMs)}
          . What is shown here is in the memory of this one gateway and begins anew with it.
        </p>
      </section>
    </>
  );
}

function Holdings(): JSX.Element {
  const counts = useLoad<StoreCounts>(
    'store',
    (signal) => apiJson('ui/api/store', { signal }),
    countAgainMs,
  );
  const { value, error, reload } = counts;
  if (value === null) {
    return error === null ? <Waiting what="sizes" /> : <Problem message={error} retry={reload} />;
  }
  const { stats, countedMs, isCounting, hasFailed } = value;
  if (stats === null) {
    if (!hasFailed || isCounting) {
      return <p class="waiting">Counting what is stored; with many files this takes a while…</p>;
    }
    return <Problem message="The store could not be counted; the faults below may say why." />;
  }
  return (
    <section aria-label="Sizes" class="card">
      {stats.files === 0 ? (
        <Empty>
          <p>Nothing is stored yet.</p>
          <p class="note">Upload files into a repository here, or with “orbweaver upload”.</p>
        </Empty>
      ) : (
        <Savings stats={stats} />
      )}
      <p class="note">
        {countedMs === null ? '' : `Counted ${agoText(Date.now() - countedMs)}. `}
        {isCounting ? 'Counting again…' : ''}
      </p>
    </section>
  );
}

function Savings({ stats }: { stats: StoreStats }): JSX.Element {
  const { files, logicalBytes, uniqueBytes, storedBytes, objects } = stats;
  const byDedup = Math.max(0, logicalBytes - uniqueBytes);
  const byCompression = Math.max(0, Math.min(uniqueBytes, logicalBytes) - storedBytes);
  const saved = Math.max(0, logicalBytes - storedBytes);
  const whole = Math.max(logicalBytes, storedBytes);
  const parts = [
    { kind: 'kept', name: 'kept', bytes: storedBytes },
    { kind: 'pressed', name: 'saved by compression', bytes: byCompression },
    { kind: 'shared', name: 'saved by dedup', bytes: byDedup },
  ];
  return (
    <>
      <p class="headline">
        <b>{bytesText(logicalBytes)}</b> of files take <b>{bytesText(storedBytes)}</b>
        {saved > 0 && (
          <>
            {' '}
            — <strong>{percentText(saved, logicalBytes)} saved</strong>
          </>
        )}
      </p>
      <svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        {parts.map(({ kind, bytes }, i) => {
          const before = parts.slice(0, i).reduce((sum, part) => sum + part.bytes, 0);
          return (
            <rect
              key={kind}
              class={kind}
              x={(100 * before) / whole}
              width={(100 * bytes) / whole}
              height="6"
            />
          );
        })}
      </svg>
      <dl class="figures">
        {parts.map(({ kind, name, bytes }) => (
          <div key={kind} class={kind}>
            <dt>{name}</dt>
            <dd>
              {bytesText(bytes)} {saved > 0 && <small>{percentText(bytes, logicalBytes)}</small>}
            </dd>
          </div>
        ))}
        <div>
          <dt>files</dt>
          <dd>{countText(files)}</dd>
        </div>
        <div>
          <dt>objects in the store</dt>
          <dd>{countText(objects)}</dd>
        </div>
      </dl>
    </>
  );
}

/** Five minutes, a quarter of an hour and an hour: a gateway that has just started is not shown as a needle. */
const WIDTHS = [30, 90, 360];

function Rates({ samples, periodMs }: History): JSX.Element {
  const count = samples.requests.length - 1;
  const periods = WIDTHS.find((width) => width >= count) ?? 360;
  // The last period is not over: what came in it would show as a rate that falls.
  const perSecond = (values: readonly number[]): number[] =>
    (values.length > 1 ? values.slice(0, -1) : [0]).map((sum) => (1000 * sum) / periodMs);
  const rate = (value: number): string =>
    value > 0 && value < 10 ? value.toFixed(1) : `${Math.round(value)}`;
  return (
    <div class="charts">
      <Chart
        title="Bytes per second"
        {...{ periodMs, periods, text: rateText, least: 1000 }}
        series={[
          { name: 'in', kind: 'one', values: perSecond(samples.receivedBytes) },
          { name: 'out', kind: 'two', values: perSecond(samples.sentBytes) },
        ]}
      />
      <Chart
        title="Requests per second"
        {...{ periodMs, periods, text: rate, least: 1 }}
        series={[
          { name: 'all', kind: 'one', values: perSecond(samples.requests) },
          { name: 'refused', kind: 'two', values: perSecond(samples.refused) },
          { name: 'failed', kind: 'bad', values: perSecond(samples.failed) },
        ]}
      />
    </div>
  );
}

function Faults({ faults, nowMs }: History): JSX.Element {
  if (faults.length === 0) return <Empty>None since the start.</Empty>;
  return (
    <>
      <p class="note">{plural(faults.length, 'fault')}, the last first.</p>
      <ul class="rows">
        {faults.map(({ id, timeMs, method, path, status, code, message, tenant }) => (
          <li key={`${id}-${timeMs}`}>
            <p>
              <b class="bad">{code}</b> {message}
            </p>
            <p class="note">
              {agoText(nowMs - timeMs)} · {status} · {method} <code>{path}</code>
              {tenant === null ? '' : ` · tenant ${tenant}`} · request {id}
            </p>
          </li>
        ))}
      </ul>
    </>
  );
}
