import type { BenchReport } from './types.js';

/**
 * Reads the JSON form of a report, version 1.
 *
 * @throws SyntaxError when it is no JSON; TypeError, naming the field, when it is no such report
 */
export function parseReport(text: string): BenchReport {
  const root = record(JSON.parse(text), 'report');
  if (root['version'] !== 1) {
    throw new TypeError(`"version" expected 1, got ${JSON.stringify(root['version'])}`);
  }
  const machine = record(root['machine'], 'machine');
  for (const key of ['cpu', 'platform', 'node', 'orbweaver']) {
    string(machine[key], `machine.${key}`);
  }
  for (const key of ['cores', 'memoryBytes']) number(machine[key], `machine.${key}`);
  string(root['startedAt'], 'startedAt');
  number(root['rounds'], 'rounds');
  boolean(root['inMemory'], 'inMemory');
  list(root['kernels'], 'kernels').forEach((value, index) => {
    const at = `kernels[${index}]`;
    const kernel = record(value, at);
    for (const key of ['name', 'variant']) string(kernel[key], `${at}.${key}`);
    for (const key of ['bytesPerCall', 'medianNs', 'noise']) number(kernel[key], `${at}.${key}`);
  });
  list(root['scenarios'], 'scenarios').forEach((value, index) => {
    checkScenario(record(value, `scenarios[${index}]`), `scenarios[${index}]`);
  });
  return root as unknown as BenchReport;
}

const SAMPLE_KEYS = [
  'wallMs',
  'cpuMs',
  'peakBytes',
  'wireUpBytes',
  'wireDownBytes',
  'requests',
  'storedBytes',
  'serverCpuMs',
] as const;

function checkScenario(scenario: Fields, at: string): void {
  for (const key of ['name', 'question']) string(scenario[key], `${at}.${key}`);
  number(scenario['inputBytes'], `${at}.inputBytes`);
  if (scenario['newData'] !== null) {
    const newData = record(scenario['newData'], `${at}.newData`);
    for (const key of ['chunkCount', 'rawBytes', 'packedBytes']) {
      number(newData[key], `${at}.newData.${key}`);
    }
  }
  list(scenario['variants'], `${at}.variants`).forEach((value, index) => {
    const place = `${at}.variants[${index}]`;
    const variant = record(value, place);
    string(variant['name'], `${place}.name`);
    if (variant['version'] !== null) string(variant['version'], `${place}.version`);
    if (variant['skipped'] !== null) string(variant['skipped'], `${place}.skipped`);
    boolean(variant['failed'], `${place}.failed`);
    list(variant['samples'], `${place}.samples`).forEach((entry, number_) => {
      const sample = record(entry, `${place}.samples[${number_}]`);
      for (const key of SAMPLE_KEYS) number(sample[key], `${place}.samples[${number_}].${key}`);
    });
  });
}

type Fields = Readonly<Record<string, unknown>>;

function record(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(name, 'an object', value);
  }
  return value as Fields;
}

function list(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(name, 'a list', value);
  return value;
}

function string(value: unknown, name: string): void {
  if (typeof value !== 'string') throw wrong(name, 'a string', value);
}

function boolean(value: unknown, name: string): void {
  if (typeof value !== 'boolean') throw wrong(name, 'true or false', value);
}

function number(value: unknown, name: string): void {
  if (typeof value !== 'number') throw wrong(name, 'a number', value);
}

function wrong(name: string, expected: string, value: unknown): TypeError {
  const got = value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value;
  return new TypeError(`"${name}" expected ${expected}, got ${got}`);
}
