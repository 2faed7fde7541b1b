/**
 * Whether a 403 of a signed URL means that its time is over. Only then a new URL helps; treating
 * every 403 so hides the real reason and asks for ever.
 *
 * The end of life stands in the URL in a form of each signer's own:
 *
 * - `X-Amz-Date` + `X-Amz-Expires` (S3), the same with `X-Goog-` (Google)
 * - `Expires`, `exp`, `e`, `X-Xet-Expires`: Unix seconds (CloudFront, S3 version 2, our gateway)
 * - `se`: an ISO date (Azure)
 * - `Policy`: base64 of JSON with `AWS:EpochTime` (CloudFront)
 */

/** Clocks differ: a URL that is about to end counts as ended. */
const CLOCK_SKEW_MS = 30_000;

/** When the URL ends, in milliseconds since the epoch, or null when it does not say. */
export function signedUrlEnd(url: URL): number | null {
  const parameters = new Map<string, string>();
  for (const [name, value] of url.searchParams) parameters.set(name.toLowerCase(), value);
  for (const vendor of ['x-amz', 'x-goog']) {
    const signedAt = compactDate(parameters.get(`${vendor}-date`));
    const lifeSeconds = wholeNumber(parameters.get(`${vendor}-expires`));
    if (signedAt !== null && lifeSeconds !== null) return signedAt + lifeSeconds * 1000;
  }
  for (const name of ['expires', 'x-xet-expires', 'exp', 'e']) {
    const seconds = wholeNumber(parameters.get(name));
    // Smaller numbers are a life time, not a date.
    if (seconds !== null && seconds > 1_000_000_000) {
      return seconds > 1_000_000_000_000 ? seconds : seconds * 1000;
    }
  }
  const isoEnd = Date.parse(parameters.get('se') ?? '');
  if (Number.isFinite(isoEnd)) return isoEnd;
  return policyEnd(parameters.get('policy'));
}

/**
 * True when the URL has ended, when the response says so, or when neither tells (asking for a new URL
 * is then the only thing that may help). `serverNowMs` is the server's own clock if it gave one.
 */
export function isExpired(url: URL, bodyText: string, serverNowMs: number): boolean {
  if (/expired|request has expired|expiredtoken/i.test(bodyText)) return true;
  const end = signedUrlEnd(url);
  return end === null || serverNowMs + CLOCK_SKEW_MS >= end;
}

function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** `20260131T235959Z`. */
function compactDate(text: string | undefined): number | null {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text ?? '');
  if (match === null) return null;
  const [, year, month, day, hour, minute, second] = match;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

function policyEnd(text: string | undefined): number | null {
  if (text === undefined) return null;
  // CloudFront writes base64 with - _ ~ for + = /.
  const base64 = text.replace(/-/g, '+').replace(/_/g, '=').replace(/~/g, '/');
  const seconds = wholeNumber(/"AWS:EpochTime"\s*:\s*(\d+)/.exec(decoded(base64))?.[1]);
  return seconds === null ? null : seconds * 1000;
}

/** Empty for a text that is no base64. */
function decoded(base64: string): string {
  try {
    return atob(base64);
  } catch {
    return '';
  }
}
