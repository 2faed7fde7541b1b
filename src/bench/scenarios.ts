import {
  chunkKind,
  downloadKind,
  gatewayKind,
  ingestKind,
  type Kind,
  remoteKind,
  sinkKind,
} from './kinds.js';
import type { Scenario } from './scenario.js';

/** The scenarios as data: what is done with which input, and where. Kinds and inputs make the questions. */

const TLS = { tls: true };
const FAR = { oneWayMs: 10 };
const HERE = {};
const BEFORE = 'the one before';

const GENERATED: Readonly<Record<string, Kind>> = {
  'chunk-random': chunkKind('random'),
  'upload-random': sinkKind('random'),
  'upload-text': sinkKind('text'),
  'upload-binaries': sinkKind('binaries'),
  'upload-fp32': sinkKind('fp32'),
  'upload-bf16': sinkKind('bf16'),
  'upload-small': sinkKind('small'),
  'session-edited': sinkKind('edited-session'),
  'session-twice': sinkKind('twice-session'),
  'gateway-upload': gatewayKind('random'),
  'gateway-again': gatewayKind('same', HERE, 'it already'),
  'gateway-edited': gatewayKind('edited', HERE, BEFORE),
  'gateway-rows': gatewayKind('rows', HERE, BEFORE),
  'gateway-inserts': gatewayKind('inserts', HERE, BEFORE),
  'gateway-release': gatewayKind('release', HERE, BEFORE),
  'tls-upload': gatewayKind('random', TLS),
  'tls-download': downloadKind('random', 'gateway', TLS),
  'far-upload': gatewayKind('random', FAR),
  'far-download': downloadKind('random', 'gateway', FAR),
  'download-random': downloadKind('random', 'gateway'),
  'download-bf16': downloadKind('bf16', 'gateway'),
  'download-range': downloadKind('random', 'gateway', { part: true }),
  'read-rows': downloadKind('rows', 'gateway', { twoStores: true }),
  'read-inserts': downloadKind('inserts', 'gateway', { twoStores: true }),
  'read-release': downloadKind('release', 'gateway', { twoStores: true }),
  'ingest-random': ingestKind('random'),
};
const OWN_FILES: Readonly<Record<string, Kind>> = {
  'file-chunk': chunkKind('own'),
  'file-upload': sinkKind('own'),
  'file-download': downloadKind('own-first', 'gateway'),
};
const OWN_SERVER: Readonly<Record<string, Kind>> = {
  'server-chunk': chunkKind('own'),
  'server-upload': remoteKind('own', 'fresh'),
  'server-again': remoteKind('own', 'again'),
  'server-download': downloadKind('own-first', 'remote'),
  'server-range': downloadKind('own-first', 'remote', { part: true }),
};

const named = (table: Readonly<Record<string, Kind>>): readonly Scenario[] =>
  Object.entries(table).map(([name, kind]) => ({ name, ...kind }));

/** All scenarios on generated data in the order in which they run. */
export const SCENARIOS: readonly Scenario[] = named(GENERATED);
/** Scenarios about the user's own files. */
export const FILE_SCENARIOS: readonly Scenario[] = named(OWN_FILES);
/** Scenarios about the user's own server, with files of theirs. */
export const SERVER_SCENARIOS: readonly Scenario[] = named(OWN_SERVER);

/**
 * The scenarios with these names, or of these groups (`upload` takes all `upload-…`). No names: all.
 * Unknown names are returned apart.
 */
export function selectScenarios(
  names: readonly string[],
  from: readonly Scenario[],
): { readonly chosen: readonly Scenario[]; readonly unknown: readonly string[] } {
  if (names.length === 0) return { chosen: from, unknown: [] };
  const matches = (scenario: Scenario, name: string): boolean =>
    scenario.name === name || scenario.name.startsWith(`${name}-`);
  return {
    chosen: from.filter((scenario) => names.some((name) => matches(scenario, name))),
    unknown: names.filter((name) => !from.some((scenario) => matches(scenario, name))),
  };
}
