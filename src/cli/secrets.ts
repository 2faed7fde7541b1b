import type { CliContext } from './context.js';

const MASK = '***';
/** Shorter ones are parts of words. */
const MIN_SECRET_CHARS = 4;

/**
 * Text without what opens a store: the tokens given, bearer tokens, names and passwords in URLs, and
 * all that follows the `?` of a URL, where signatures stand.
 */
export function masked(text: string, secrets: readonly string[] = []): string {
  let out = text;
  for (const secret of secrets) {
    if (secret.length >= MIN_SECRET_CHARS) out = out.replaceAll(secret, MASK);
  }
  return out
    .replace(/\bBearer\s+(?!token(?![\w+/=~-]))[^\s"',]+/gi, `Bearer ${MASK}`)
    .replace(/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+/g, MASK)
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/"'@]+@/gi, `$1${MASK}@`)
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s"'?#]+\?)[^\s"']+/gi, `$1${MASK}`);
}

/** The secrets of a command line and of its environment. */
export function secretsOf(argv: readonly string[], env: CliContext['env']): string[] {
  const found: string[] = [];
  for (const [i, arg] of argv.entries()) {
    const match = /^--[a-z-]*(?:token|secret|password)(?:=(.*))?$/.exec(arg);
    const value = match === null ? undefined : (match[1] ?? argv[i + 1]);
    if (value) found.push(value);
  }
  for (const [name, value] of Object.entries(env)) {
    if (value && /^(ORBWEAVER|HF)_.*(TOKEN|SECRET)/.test(name)) found.push(value);
  }
  return found;
}
