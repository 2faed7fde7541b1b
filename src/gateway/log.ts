import { isOrbweaverError } from '../errors.js';
import type { Clock } from '../flow/index.js';
import { checkOptions, is } from '../options/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { GatewayAccess, GatewayFault } from './ports.js';

/** How much a log says, from least to most; each level includes those before it. */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Settings of {@link createGatewayLog}. */
export interface GatewayLogOptions {
  /** Takes whole lines, several at once when there are many. */
  readonly write: (lines: string) => void;
  /** `json`: one object per line. @default 'text' */
  readonly format?: 'text' | 'json' | undefined;
  /** @default 'info' */
  readonly level?: LogLevel | undefined;
  /** @default the clock of the machine */
  readonly clock?: Clock | undefined;
}

/** The log of a gateway: hand the callbacks to `createGateway` or `startGateway`. */
export interface GatewayLog {
  /** A line per request, at `info`; at `debug` for those that supervisors send all the time. */
  readonly onAccess: (access: GatewayAccess) => void;
  /** A line per fault of the server or the store, at `error`: the code and what was at fault. */
  readonly onFault: (fault: GatewayFault) => void;
  readonly onWarning: (message: string) => void;
  readonly info: (message: string) => void;
  /** Writes what waits. */
  readonly flush: () => void;
}

/** Lines of requests wait so long for others: a write for each would show in small requests. */
const FLUSH_MS = 100;
const FLUSH_CHARS = 64 * 1024;

/**
 * Access and faults as lines of text or JSON. Neither a token nor a signature is ever in them: paths
 * come without their query, and what looks like a token in a message is taken out.
 *
 *     2026-11-28T16:00:00.000Z info  0f3a…0001 GET /v1/fetch/ab… 206 65536 B 1.2 ms read token 10.0.0.7
 *     2026-11-28T16:00:00.000Z error 0f3a…0002 GET /v1/fetch/cd… 410 INTEGRITY the store holds …
 *
 * @example
 * const log = createGatewayLog({ write: (lines) => process.stderr.write(lines) });
 * const gateway = await startGateway({ data: './store', onAccess: log.onAccess, onFault: log.onFault });
 */
export function createGatewayLog(options: GatewayLogOptions): GatewayLog {
  checkOptions('createGatewayLog', options, {
    write: is.required(is.callback),
    format: is.oneOf(['text', 'json']),
    level: is.oneOf(LOG_LEVELS),
    clock: is.object,
  });
  const { write, format = 'text', level = 'info', clock = SYSTEM_CLOCK } = options;
  const most = LOG_LEVELS.indexOf(level);
  let waiting = '';
  let stopTimer: (() => void) | null = null;
  const flush = (): void => {
    stopTimer?.();
    stopTimer = null;
    if (waiting !== '') write(waiting);
    waiting = '';
  };
  /** `fields` in the order in which text shows them. */
  const line = (of: LogLevel, event: string, fields: Readonly<Record<string, unknown>>): void => {
    if (LOG_LEVELS.indexOf(of) > most) return;
    const time = new Date(clock.unixMs()).toISOString();
    waiting +=
      format === 'json'
        ? `${JSON.stringify({ time, level: of, event, ...fields })}\n`
        : `${time} ${of.padEnd(5)} ${Object.entries(fields).map(fieldText).join(' ')}\n`;
    if (of === 'error' || of === 'warn' || waiting.length > FLUSH_CHARS) flush();
    else stopTimer ??= clock.setTimer(FLUSH_MS, flush, { background: true });
  };

  return {
    flush,
    onAccess({ requestId, method, path, status, sentBytes, durationMs, principal, client }) {
      const ms = Math.round(durationMs * 10) / 10;
      const fields = {
        requestId,
        method,
        path: cleanText(path),
        status,
        sentBytes,
        ms,
        principal,
        client,
      };
      line(ASKED_ALL_THE_TIME.has(path) ? 'debug' : 'info', 'request', fields);
    },
    onFault({ requestId, method, path, status, error }) {
      const code = isOrbweaverError(error) ? error.code : 'INTERNAL';
      const message = cleanText(messageOf(error));
      line('error', 'fault', { requestId, method, path: cleanText(path), status, code, message });
    },
    onWarning: (message) => line('warn', 'warning', { message: cleanText(message) }),
    info: (message) => line('info', 'message', { message: cleanText(message) }),
  };
}

const ASKED_ALL_THE_TIME = new Set(['/health', '/ready', '/metrics']);

function fieldText([name, value]: [string, unknown]): string {
  if (name === 'sentBytes') return `${value} B`;
  if (name === 'ms') return `${value} ms`;
  return value === null ? '-' : String(value).replace(CONTROL, '?');
}

/** What would end a line or move a terminal. */
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]/gu;
/** Tokens as this gateway makes them or as headers carry them, and queries with signatures. */
const SECRETS =
  /orb_[0-9a-f]{8,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]+|(?<=bearer +)[\x21-\x7e]+|(?<=\?)[\w%.~+-]+=\S+/gi;

/** `text` without what looks like a secret. */
export function cleanText(text: string): string {
  return text.replace(SECRETS, '***');
}

/** The sentences of an error and of its causes. */
export function messageOf(error: unknown): string {
  const messages: string[] = [];
  for (let cause = error, depth = 0; depth < 4 && cause !== undefined; depth++) {
    messages.push(cause instanceof Error ? cause.message : String(cause));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return messages.join('; caused by: ');
}
