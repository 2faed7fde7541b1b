import {
  type ErrorCode,
  type ErrorFields,
  isOrbweaverError,
  OrbweaverError,
} from '../../errors.js';
import type { TargetErrorClass, TargetIds, TargetKind } from './ports.js';

/** The class of every failure of an upload target, and the code that it has in the table of errors. */
const CODE_OF_CLASS: Readonly<Record<TargetErrorClass, ErrorCode>> = {
  auth: 'AUTH_REQUIRED',
  quota: 'QUOTA_EXCEEDED',
  conflict: 'CONFLICT',
  integrity: 'INTEGRITY',
  permanent: 'REJECTED',
  transient: 'SERVER_ERROR',
  'unknown-outcome': 'OUTCOME_UNKNOWN',
  'payment-required': 'PAYMENT_REQUIRED',
};

/** Classes of errors that were not made by {@link targetError}; all others are `permanent`. */
const CLASS_OF_CODE: Readonly<Partial<Record<ErrorCode, TargetErrorClass>>> = {
  AUTH_REQUIRED: 'auth',
  FORBIDDEN: 'auth',
  QUOTA_EXCEEDED: 'quota',
  CONFLICT: 'conflict',
  INTEGRITY: 'integrity',
  SIZE_MISMATCH: 'integrity',
  CHECKSUM_MISMATCH: 'integrity',
  INPUT_CHANGED: 'integrity',
  OUTCOME_UNKNOWN: 'unknown-outcome',
  PAYMENT_REQUIRED: 'payment-required',
  NETWORK: 'transient',
  STALLED: 'transient',
  SERVER_ERROR: 'transient',
  RATE_LIMITED: 'transient',
};

/** What {@link targetError} is told. */
export interface TargetErrorOptions {
  readonly kind: TargetKind;
  readonly class: TargetErrorClass;
  /** What was expected and what came, in one line, without secrets. */
  readonly message: string;
  /** What is needed to look again; each becomes a field. @default none */
  readonly ids?: TargetIds | undefined;
  /** More facts. @default none */
  readonly fields?: ErrorFields | undefined;
  readonly cause?: unknown;
  /** @default the code of the class */
  readonly code?: ErrorCode | undefined;
  /**
   * What was planned is gone at the target: the engine plans again from the beginning, a few times.
   * @default false
   */
  readonly planAgain?: boolean | undefined;
  /** With `planAgain`: what is there already still counts, as after a restart. @default false */
  readonly keepsParts?: boolean | undefined;
}

/** An error of a target: `fields.class` and `fields.target` say what it means and whose it is. */
export function targetError(options: TargetErrorOptions): OrbweaverError {
  const { kind, ids, fields, cause, planAgain = false, keepsParts = false } = options;
  return new OrbweaverError(
    options.code ?? CODE_OF_CLASS[options.class],
    options.message,
    {
      ...fields,
      ...ids,
      class: options.class,
      target: kind,
      ...(planAgain ? { planAgain: true } : {}),
      ...(keepsParts ? { keepsParts: true } : {}),
    },
    cause,
  );
}

/** The class of anything that a target threw; null for what is no failure of it (cancelled, a bug). */
export function classOf(error: unknown): TargetErrorClass | null {
  if (!isOrbweaverError(error)) return null;
  if (error.code === 'ABORTED' || error.code === 'CLOSED' || error.code === 'INTERNAL') return null;
  const named = error.fields['class'];
  if (typeof named === 'string' && Object.hasOwn(CODE_OF_CLASS, named)) {
    return named as TargetErrorClass;
  }
  return CLASS_OF_CODE[error.code] ?? 'permanent';
}

/** Whether the engine has to plan again; see {@link TargetErrorOptions.planAgain}. */
export function wantsNewPlan(error: unknown): boolean {
  return isOrbweaverError(error) && error.fields['planAgain'] === true;
}
