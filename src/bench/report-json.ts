import type { BenchReport } from './types.js';

/** The form of a value: the name of its type, one of several, a list of one form, fields by name. */
type Form = string | readonly [Form] | { readonly [name: string]: Form };

const fields = (form: string, ...names: readonly string[]): Record<string, Form> =>
  Object.fromEntries(names.map((name) => [name, form]));

const SAMPLE = fields(
  'number',
  ...['wallMs', 'cpuMs', 'peakBytes', 'wireUpBytes', 'wireDownBytes', 'requests', 'storedBytes'],
  'serverCpuMs',
);
const VARIANT = {
  ...fields('string', 'name'),
  ...fields('string or null', 'version', 'skipped'),
  ...fields('boolean', 'failed'),
  samples: [SAMPLE],
} as const;
const REPORT: Form = {
  ...fields('string', 'startedAt'),
  ...fields('number', 'rounds'),
  ...fields('boolean', 'inMemory'),
  ...fields('string or undefined', 'server'),
  machine: {
    ...fields('string', 'cpu', 'platform', 'node', 'orbweaver'),
    ...fields('number', 'cores', 'memoryBytes'),
  },
  kernels: [
    {
      ...fields('string', 'name', 'variant'),
      ...fields('number', 'bytesPerCall', 'medianNs', 'noise'),
    },
  ],
  scenarios: [
    {
      ...fields('string', 'name', 'question'),
      ...fields('number', 'inputBytes'),
      ...fields('object or null', 'newData'),
      variants: [VARIANT],
    },
  ],
};
const NEW_DATA = fields('number', 'chunkCount', 'rawBytes', 'packedBytes');

/**
 * Reads the JSON form of a report, version 1.
 *
 * @throws SyntaxError when it is no JSON; TypeError, naming the field, when it is no such report
 */
export function parseReport(text: string): BenchReport {
  const report = JSON.parse(text) as BenchReport;
  if (typeOf(report) !== 'object') check(report, {}, 'report');
  if (report.version !== 1) {
    throw new TypeError(`"version" expected 1, got ${JSON.stringify(report.version)}`);
  }
  check(report, REPORT, '');
  report.scenarios.forEach(({ newData }, index) => {
    if (newData !== null) check(newData, NEW_DATA, `scenarios[${index}].newData`);
  });
  return report;
}

function check(value: unknown, form: Form, at: string): void {
  const type = typeOf(value);
  const expected = typeof form === 'string' ? form : Array.isArray(form) ? 'list' : 'object';
  if (!expected.split(' or ').includes(type)) {
    throw new TypeError(`"${at}" expected ${phrase(expected)}, got ${phrase(type)}`);
  }
  if (typeof form === 'string') return;
  if (Array.isArray(form)) {
    for (const [index, item] of (value as readonly unknown[]).entries()) {
      check(item, form[0] as Form, `${at}[${index}]`);
    }
    return;
  }
  for (const [name, inner] of Object.entries(form)) {
    const place = at === '' ? name : `${at}.${name}`;
    check((value as Record<string, unknown>)[name], inner, place);
  }
}

function typeOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value;
}

const phrase = (type: string): string =>
  type === 'null' ? type : `${type.startsWith('o') ? 'an' : 'a'} ${type}`;
