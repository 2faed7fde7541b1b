/**
 * The one table of error codes. Every failure that orbweaver reports on purpose is an
 * {@link OrbweaverError} whose `code` is a key of {@link ERROR_CODES}; callers match the code,
 * never the text and never `instanceof` (a second copy of the package would break that).
 * Programmer mistakes (a wrong option type) are plain `TypeError`/`RangeError` instead.
 *
 * This file imports nothing, so that every module may import it.
 */

/** What the table says about one code. */
export interface ErrorInfo {
  /** One sentence: what this code means. */
  readonly sentence: string;
  /** One line: what the reader can do next. */
  readonly hint: string;
  /** True when the same call may succeed later without a change by the caller. */
  readonly retryable: boolean;
  /** Exit code of the CLI for an uncaught error with this code (docs/cli.md has the table). */
  readonly exitCode: number;
}

/** Exit codes of the CLI, by meaning. 1 is for faults of orbweaver itself. */
export const EXIT: {
  readonly ok: 0;
  readonly internal: 1;
  readonly usage: 2;
  readonly input: 3;
  readonly auth: 4;
  readonly notFound: 5;
  readonly integrity: 6;
  readonly network: 7;
  readonly storage: 8;
  readonly partial: 9;
  readonly regression: 10;
  readonly interrupted: 130;
} = {
  ok: 0,
  internal: 1,
  usage: 2,
  input: 3,
  auth: 4,
  notFound: 5,
  integrity: 6,
  network: 7,
  storage: 8,
  partial: 9,
  regression: 10,
  interrupted: 130,
};

const row = (sentence: string, hint: string, exitCode: number, retryable = false): ErrorInfo => ({
  sentence,
  hint,
  retryable,
  exitCode,
});

/** Code → meaning. `docs/errors.md` lists the same codes; a test compares the two. */
export const ERROR_CODES = {
  // What the caller handed in.
  USAGE: row('The command line or the options are wrong.', 'See --help for the right form.', 2),
  HASH_INVALID: row(
    'A hash is not 64 hexadecimal digits.',
    'Copy the whole hash as upload printed it.',
    2,
  ),
  INPUT_NOT_FOUND: row('An input file does not exist.', 'Check the path.', 3),
  INPUT_IS_DIRECTORY: row(
    'An input is a directory.',
    'Name the files inside it, or upload it as a folder.',
    3,
  ),
  INPUT_UNREADABLE: row('An input cannot be read.', 'Check its permissions and its disk.', 3),
  INPUT_CHANGED: row(
    'An input changed while it was read.',
    'Upload it again when nothing writes to it.',
    3,
  ),
  TOO_MANY_TERMS: row(
    'A file needs more terms than a shard can hold.',
    'Upload it in parts, or stored in one piece (--placement read-fast).',
    3,
  ),
  RANGE_INVALID: row(
    'The asked range does not lie in the file.',
    'Ask for an offset below the size of the file.',
    2,
  ),

  // Formats: bytes that are not what they claim to be.
  TRUNCATED: row('Bytes end before the structure does.', 'Fetch the data again.', 6),
  FORMAT_INVALID: row(
    'Bytes break the rules of their format.',
    'The data is damaged or hostile.',
    6,
  ),
  LIMIT_EXCEEDED: row(
    'A length or count is above the limit of the protocol.',
    'The data is damaged or hostile.',
    6,
  ),
  UNSUPPORTED: row(
    'The data uses a feature that orbweaver does not read.',
    'A newer version may read it.',
    6,
  ),
  CHECKSUM_MISMATCH: row('A checksum does not match its data.', 'Fetch the data again.', 6),
  UNVERIFIED: row(
    'The store offers no proof for a range that had to be proved.',
    'Download the whole file, or let ranges go unproved with --verify-range auto (verifyRange).',
    6,
  ),
  INTEGRITY: row(
    'Data does not have the hash under which it was asked for.',
    'The store holds damaged data; nothing was written under the final name.',
    6,
  ),
  SIZE_MISMATCH: row(
    'Data does not have the size that was promised.',
    'Try again; if it stays, the store is damaged.',
    6,
  ),
  UNSAFE_PATH: row(
    'A name or link would leave the folder it belongs to, or is not safe on every system.',
    'Rename the entry; in a folder, --names native takes what this system takes.',
    3,
  ),
  ZIP_INVALID: row('The ZIP archive is damaged or not supported.', 'Test it with another tool.', 3),
  ZIP_TOO_LARGE: row(
    'The ZIP archive would pass the size it was allowed.',
    'Raise "maxBytes", or make several archives.',
    3,
  ),

  // Talking to a server.
  AUTH_REQUIRED: row('The server does not accept the token.', 'Pass a valid token (--token).', 4),
  FORBIDDEN: row('The token does not allow this.', 'Use a token with the needed scope.', 4),
  NOT_FOUND: row('The server does not have it.', 'Check the hash and the endpoint.', 5),
  REJECTED: row('The server refused the data.', 'The server message says why.', 7),
  CONFLICT: row(
    'The server has something else under this name.',
    'Choose another name; what is there stays.',
    7,
  ),
  QUOTA_EXCEEDED: row(
    'The quota of this account is used up.',
    'Delete something there, or ask for a larger quota.',
    7,
  ),
  PAYMENT_REQUIRED: row(
    'The server wants to be paid first.',
    'Pay as the message says, then go on with the same command.',
    7,
  ),
  OUTCOME_UNKNOWN: row(
    'Nobody knows whether the last step was made.',
    'Look with the ids of the message; the same command looks again, too.',
    7,
  ),
  SERVER_ERROR: row('The server failed.', 'Try again later.', 7, true),
  RATE_LIMITED: row('The server asks for fewer requests.', 'Try again later.', 7, true),
  NETWORK: row('The connection failed.', 'Check the endpoint and the network.', 7, true),
  STALLED: row('No byte moved for too long.', 'Check the network; try again.', 7, true),
  PROTOCOL: row(
    'The response of the server is not what the protocol says.',
    'Check the endpoint URL.',
    7,
  ),
  UNSAFE_URL: row(
    'A URL from the server points where it must not.',
    'Check the endpoint; allow the host if you trust it.',
    7,
  ),

  // Disk and machine.
  DISK_FULL: row('The disk is full.', 'Free some space and try again.', 8),
  STORAGE_FAILED: row('Reading or writing the disk failed.', 'Check the disk and permissions.', 8),
  OUTPUT_UNWRITABLE: row('The output cannot be written.', 'Check the folder and permissions.', 8),
  PORT_IN_USE: row('The port is taken.', 'Choose another with --port, or 0 for a free one.', 8),

  // Inside.
  WORKER_FAILED: row('A worker thread died.', 'Try again; give it more memory.', 1, true),
  KERNEL_UNAVAILABLE: row(
    'The forced kernel tier does not run here.',
    'Leave the tier on "auto".',
    2,
  ),
  ABORTED: row('The transfer was cancelled.', 'Start it again when you like.', 130),
  CLOSED: row('The session, pool or client is closed.', 'Create a new one.', 1),
  PARTIAL: row(
    'Some files failed, the others are done.',
    'See the list; repeat the failed ones.',
    9,
  ),
  INTERNAL: row('orbweaver has a fault.', 'Please report it with the message.', 1),
} satisfies Record<string, ErrorInfo> as { readonly [K in ErrorCodeName]: ErrorInfo };

type ErrorCodeName =
  | 'USAGE'
  | 'HASH_INVALID'
  | 'INPUT_NOT_FOUND'
  | 'INPUT_IS_DIRECTORY'
  | 'INPUT_UNREADABLE'
  | 'INPUT_CHANGED'
  | 'TOO_MANY_TERMS'
  | 'RANGE_INVALID'
  | 'TRUNCATED'
  | 'FORMAT_INVALID'
  | 'LIMIT_EXCEEDED'
  | 'UNSUPPORTED'
  | 'CHECKSUM_MISMATCH'
  | 'UNVERIFIED'
  | 'INTEGRITY'
  | 'SIZE_MISMATCH'
  | 'UNSAFE_PATH'
  | 'ZIP_INVALID'
  | 'ZIP_TOO_LARGE'
  | 'AUTH_REQUIRED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'REJECTED'
  | 'CONFLICT'
  | 'QUOTA_EXCEEDED'
  | 'PAYMENT_REQUIRED'
  | 'OUTCOME_UNKNOWN'
  | 'SERVER_ERROR'
  | 'RATE_LIMITED'
  | 'NETWORK'
  | 'STALLED'
  | 'PROTOCOL'
  | 'UNSAFE_URL'
  | 'DISK_FULL'
  | 'STORAGE_FAILED'
  | 'OUTPUT_UNWRITABLE'
  | 'PORT_IN_USE'
  | 'WORKER_FAILED'
  | 'KERNEL_UNAVAILABLE'
  | 'ABORTED'
  | 'CLOSED'
  | 'PARTIAL'
  | 'INTERNAL';

/** A key of {@link ERROR_CODES}. */
export type ErrorCode = ErrorCodeName;

/** Facts about a failure: plain values only, so that they survive threads and JSON. */
export type ErrorFields = Readonly<Record<string, string | number | boolean | null>>;

/**
 * A failure with a code from the table.
 *
 * @example
 * try { await client.download(hash, { to: 'out.bin' }); }
 * catch (error) { if (isOrbweaverError(error) && error.code === 'NOT_FOUND') console.log(error.hint); }
 */
export class OrbweaverError extends Error {
  override readonly name: string = 'OrbweaverError';
  /** Key into {@link ERROR_CODES}. */
  readonly code: ErrorCode;
  /** Facts: offsets, expected and found values, status, request id. Never a token or signed URL. */
  readonly fields: ErrorFields;

  /** `message` says what was expected and what came, in one line. */
  constructor(code: ErrorCode, message: string, fields: ErrorFields = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.fields = fields;
  }

  /** True when the same call may succeed later. */
  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }

  /** One line: what to do next. */
  get hint(): string {
    return ERROR_CODES[this.code].hint;
  }
}

/** True for an {@link OrbweaverError} of any copy of this package. */
export function isOrbweaverError(error: unknown): error is OrbweaverError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    error.name === 'OrbweaverError' &&
    Object.hasOwn(ERROR_CODES, error.code)
  );
}

/** What was thrown, as an error: anything can be thrown. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
