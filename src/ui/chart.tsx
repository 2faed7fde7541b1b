import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { agoText } from './format.js';

/** One line of a chart. */
export interface Series {
  readonly name: string;
  /** Also the class that colours it. */
  readonly kind: 'one' | 'two' | 'bad';
  /** Per second, oldest first; the last one is now. */
  readonly values: readonly number[];
}

export interface ChartProps {
  readonly title: string;
  readonly series: readonly Series[];
  readonly periodMs: number;
  /** Periods of the whole width; what is missing at the left was before the gateway's start. */
  readonly periods: number;
  readonly text: (perSecond: number) => string;
  /** The least height of the scale. */
  readonly least: number;
}

const WIDTH = 600;
const HEIGHT = 120;

/** Lines over the last minutes, as plain SVG, with the values under the pointer or of now in the legend. */
export function Chart({ title, series, periodMs, periods, text, least }: ChartProps): JSX.Element {
  const [at, setAt] = useState<number | null>(null);
  const count = series[0]?.values.length ?? 0;
  const peaks = series.map(({ values }) => Math.max(0, ...values));
  const top = niceAbove(Math.max(least, ...peaks));
  const x = (i: number): number => ((periods - count + i) / Math.max(1, periods - 1)) * WIDTH;
  const y = (value: number): number => HEIGHT - (value / top) * (HEIGHT - 2) - 1;
  const shown = at === null ? count - 1 : at;
  const summary = series
    .map(
      ({ name, values }, i) =>
        `${name} now ${text(values.at(-1) ?? 0)}, at most ${text(peaks[i] ?? 0)}`,
    )
    .join('; ');
  const follow = (event: PointerEvent): void => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const i =
      Math.round(((event.clientX - box.left) / box.width) * (periods - 1)) - (periods - count);
    setAt(i >= 0 && i < count ? i : null);
  };
  return (
    <figure class="chart">
      <figcaption>
        <h3>{title}</h3>
        <ul class="legend">
          {series.map(({ name, kind, values }) => (
            <li key={name} class={kind}>
              {name} <b>{text(values[shown] ?? 0)}</b>
            </li>
          ))}
          <li class="when">{at === null ? 'now' : agoText((count - 1 - at) * periodMs)}</li>
        </ul>
      </figcaption>
      <div class="plot">
        <span class="top">{text(top)}</span>
        <svg
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`${title} over ${durationOf(periods * periodMs)}: ${summary}`}
          onPointerMove={follow}
          onPointerLeave={() => setAt(null)}
        >
          {[0, 0.5, 1].map((part) => (
            <line key={part} class="grid" x1="0" x2={WIDTH} y1={y(part * top)} y2={y(part * top)} />
          ))}
          {series.map(({ name, kind, values }) => (
            <g key={name} class={kind}>
              <path class="area" d={areaOf(values, x, y)} />
              <path class="line" d={lineOf(values, x, y)} />
            </g>
          ))}
          {at !== null && <line class="cursor" x1={x(at)} x2={x(at)} y1="0" y2={HEIGHT} />}
        </svg>
        <span class="axis" aria-hidden="true">
          <span>{durationOf(periods * periodMs)} ago</span>
          <span>{durationOf((periods * periodMs) / 2)}</span>
          <span>now</span>
        </span>
      </div>
    </figure>
  );
}

const durationOf = (ms: number): string => `${ms / 60_000} min`;

type Scale = (value: number) => number;

function lineOf(values: readonly number[], x: Scale, y: Scale): string {
  return values
    .map((value, i) => `${i === 0 ? 'M' : 'L'}${round(x(i))} ${round(y(value))}`)
    .join('');
}

function areaOf(values: readonly number[], x: Scale, y: Scale): string {
  if (values.length < 2) return '';
  return `${lineOf(values, x, y)}L${round(x(values.length - 1))} ${HEIGHT}L${round(x(0))} ${HEIGHT}Z`;
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** 1, 2 or 5 times a power of ten. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}
