/**
 * Keeps secrets out of errors, events and logs. Everything that leaves this module as text goes
 * through a {@link Masker}; nothing else decides what a secret looks like.
 *
 * Two nets, because either alone has holes: secrets we know (the tokens in use) are found wherever
 * they stand and however they are escaped; secrets we do not know are found by their shape.
 */
export interface Masker {
  /** Remembers a secret, so that it is masked from now on. Short ones (below 4) are ignored. */
  add(secret: string): void;
  /** `text` without secrets. */
  mask(text: string): string;
  /**
   * The first `limit` characters of a masked text whose own end was cut off somewhere: what may be
   * the beginning of a known secret goes too.
   */
  maskCut(text: string, limit: number): string;
}

/** What stands in place of a secret. */
const MASK = '***';
/** Shorter strings would blank out ordinary words. */
const LEAST_SECRET_LENGTH = 4;
/** Tokens are replaced every few minutes at most; a session has one or two at a time. */
const MOST_SECRETS = 32;

const SHAPES: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  // user:password@ of URLs.
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'<>@]*@/gi, `$1${MASK}@`],
  // Queries and fragments of URLs: signatures live there under many names.
  [/([a-z][a-z0-9+.-]*:\/\/[^\s?#"'<>]*)[?#][^\s"'<>]*/gi, `$1?${MASK}`],
  // Header lines, also as JSON members.
  [
    /((?:proxy-)?authorization|cookie|x-xet-access-token|x-api-key)(["']?\s*[:=]\s*["']?)[^"'\r\n]+/gi,
    `$1$2${MASK}`,
  ],
  // What follows the name of a scheme, unless it is prose: "no bearer token", "basic auth only".
  [
    /\b(bearer|basic)\s+(?!(?:tokens?|auth(?:entication|orization)?|credentials?|scheme|header)(?![\w+/=~-]))[^\s"',;<>]+/gi,
    `$1 ${MASK}`,
  ],
  // "the bearer token 4f2…": a word of it that could be one.
  [/\b(bearer\s+tokens?[\s:="']+)(?=[^\s"',;<>]*\d)[^\s"',;<>]{8,}/gi, `$1${MASK}`],
  // JWTs, Hub tokens.
  [/\beyJ[\w-]{4,}\.[\w-]*\.?[\w-]*/g, MASK],
  [/\b(?:hf|api|oauth)_[A-Za-z0-9]{8,}/g, MASK],
  // Loose parameters (a server may echo a query without its URL) and members of JSON.
  [
    /((?:x-(?:amz|goog)-(?:signature|credential|security-token)|signature|sig|access_?token|refresh_?token|token|secret|password|policy|key-pair-id)["']?\s*[=:]\s*["']?)[^\s&"',;<>]+/gi,
    `$1${MASK}`,
  ],
];

/**
 * @example
 * const masker = createMasker(['s3cr3t-token']);
 * masker.mask('401 for Bearer s3cr3t-token at https://store/x?sig=abc');
 * // '401 for Bearer *** at https://store/x?***'
 */
export function createMasker(secrets: readonly string[] = []): Masker {
  const known = new Set<string>();
  let forms: string[] = [];
  const add = (secret: string): void => {
    if (secret.length < LEAST_SECRET_LENGTH || known.has(secret)) return;
    known.add(secret);
    if (known.size > MOST_SECRETS) {
      for (const oldest of known) {
        known.delete(oldest);
        break;
      }
    }
    forms = [...new Set([...known].flatMap(escapedForms))].sort((a, b) => b.length - a.length);
  };
  for (const secret of secrets) add(secret);
  const mask = (text: string): string => {
    let masked = text;
    for (const form of forms) masked = masked.replaceAll(form, MASK);
    for (const [pattern, replacement] of SHAPES) masked = masked.replace(pattern, replacement);
    return masked;
  };
  return {
    add,
    mask,
    maskCut(text, limit) {
      let whole = text;
      for (const form of forms) whole = withoutTail(whole.replaceAll(form, MASK), form);
      const masked = mask(whole);
      return masked.length > limit ? `${masked.slice(0, limit)}…` : masked;
    },
  };
}

/** `text` without an end that is the beginning of `secret`. */
function withoutTail(text: string, secret: string): string {
  const longest = Math.min(secret.length - 1, text.length);
  for (let length = longest; length >= LEAST_SECRET_LENGTH; length--) {
    if (text.endsWith(secret.slice(0, length))) return `${text.slice(0, -length)}${MASK}`;
  }
  return text;
}

/** A URL that may be shown: scheme, host and path. Not a URL: nothing of it is shown. */
export function maskUrl(url: string | URL): string {
  const parsed = URL.canParse(String(url)) ? new URL(url) : null;
  return parsed === null ? '(not a URL)' : `${parsed.origin}${parsed.pathname}`;
}

/** The ways a secret may appear in a text that quotes it. */
function escapedForms(secret: string): string[] {
  const json = JSON.stringify(secret).slice(1, -1);
  // Half a surrogate pair cannot be percent-encoded, so such a secret has no such form.
  if (/[\ud800-\udfff]/.test(secret)) return [secret, json];
  return [secret, json, encodeURIComponent(secret), encodeURI(secret)];
}
