import type { DigestName, Digests } from '../../digests/ports.js';
import { targetError } from './errors.js';
import type { Done, TargetKind } from './ports.js';

/** What was compared before a transfer counts as done. */
export interface Comparison {
  readonly verified: boolean;
  /** `size` and names of digests, in the order in which they were compared. */
  readonly compared: readonly string[];
}

/**
 * Compares what a target says of its content with what was read.
 * @throws OrbweaverError `SIZE_MISMATCH` or `INTEGRITY`, class `integrity`, with the ids
 */
export function compareEvidence(options: {
  readonly kind: TargetKind;
  readonly done: Done;
  readonly sizeBytes: number;
  readonly digests: Digests;
}): Comparison {
  const { kind, done, sizeBytes, digests } = options;
  const { evidence, ids } = done;
  const compared: string[] = [];
  if (evidence.sizeBytes !== undefined) {
    if (evidence.sizeBytes !== sizeBytes) {
      throw targetError({
        kind,
        class: 'integrity',
        code: 'SIZE_MISMATCH',
        message: `the stored file expected ${sizeBytes} bytes, got ${evidence.sizeBytes}`,
        ids,
        fields: { expected: sizeBytes, got: evidence.sizeBytes },
      });
    }
    compared.push('size');
  }
  let hashes = 0;
  for (const [name, got] of Object.entries(evidence.digests ?? {})) {
    const expected = digests[name as DigestName];
    if (typeof expected !== 'string' || typeof got !== 'string') continue;
    if (expected !== got) {
      throw targetError({
        kind,
        class: 'integrity',
        message: `the stored file expected ${name} ${expected}, got ${got}`,
        ids,
        fields: { digest: name, expected, got },
      });
    }
    hashes++;
    compared.push(name);
  }
  return { verified: hashes > 0, compared };
}
