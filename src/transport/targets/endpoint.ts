import { OrbweaverError } from '../../errors.js';
import type { TargetKind } from './ports.js';

/** Hosts that never leave the machine. */
const LOOPBACK = /^(?:localhost|(?:.+\.)?localhost|127(?:\.\d+){3}|\[::1\])$/;

/** True for addresses and names of this machine. */
export function isLoopback(url: URL): boolean {
  return LOOPBACK.test(url.hostname);
}

/**
 * The base URL of a target whose credentials must not be read on the way.
 * @throws TypeError when it is none; OrbweaverError `UNSAFE_URL` for http that leaves the machine
 */
export function endpointOf(kind: TargetKind, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(`"url" of ${kind} expected an http or https URL, got another text`);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new TypeError(`"url" of ${kind} expected no user name, query or fragment, got one`);
  }
  if (url.protocol === 'http:' && !isLoopback(url)) {
    throw new OrbweaverError(
      'UNSAFE_URL',
      `"url" of ${kind} expected https, got http to ${url.host}: the credentials would be readable`,
      { host: url.host },
    );
  }
  return url;
}

/** What came where letters and digits of a fixed count are expected. */
export function lengthText(text: string): string {
  return text === '' ? 'none' : `${text.length} characters, or others among them`;
}

/** The same of a secret, which is not shown. */
export function gotSecret(text: string): string {
  return text === '' ? 'none' : 'other characters';
}
