import { textBody } from '../../../http/index.js';
import { targetError } from '../errors.js';
import { classOfStatus, createTargetHttp, type TargetHttp, type TargetResponse } from '../http.js';
import { numberOf, objectOf, objectsOf, textOf } from '../json-fields.js';
import type { TargetErrorClass, TargetIds } from '../ports.js';
import type { StartrailSettings } from './options.js';

/** What the API knows about a file. */
export type FileState =
  | { readonly state: 'missing' }
  | { readonly state: 'calculating'; readonly hash: string | null; readonly size: number | null }
  | {
      readonly state: 'ready';
      /** 64 hex digits, lower case. */
      readonly hash: string;
      readonly cid: string;
      readonly size: number;
    };

/** Where to put a file. The URL is a secret: it is used at once and kept nowhere. */
export interface SignedUrl {
  readonly url: URL;
  readonly contentType: string;
  /** Without anything that could be a signature. */
  readonly finalUrl: string;
}

/** The two calls of the API. */
export interface StartrailApi {
  readonly http: TargetHttp;
  /** @throws OrbweaverError class `conflict` when the name is refused because it is taken */
  signedUrl(filename: string, signal: AbortSignal): Promise<SignedUrl>;
  /** In the order of the names, at most one batch of them. */
  files(filenames: readonly string[], signal: AbortSignal): Promise<readonly FileState[]>;
}

export function createStartrailApi(settings: StartrailSettings): StartrailApi {
  const { exchange, clock, random, apiKey, issuer, category } = settings;
  const http = createTargetHttp({ kind: 'startrail', exchange, clock, random, secrets: [apiKey] });
  const call = (path: string, body: object, signal: AbortSignal): Promise<TargetResponse> =>
    http.request({
      method: 'POST',
      url: new URL(`${settings.api.href}${path}`),
      headers: {
        'commerce-api-key': apiKey,
        'issuer-address': issuer,
        'content-type': 'application/json',
        accept: 'application/json',
      },
      body: () => textBody(JSON.stringify(body)),
      // A signed URL that nobody uses does nothing.
      repeatable: true,
      signal,
    });
  const payloadOf = (filenames: readonly string[]): object[] =>
    filenames.map((filename) => ({ filename, category }));

  return {
    http,
    async signedUrl(filename, signal) {
      const body = { action: 'write', payload: payloadOf([filename]) };
      const response = await call('/signedUrls', body, signal);
      if (response.status !== 201 && response.status !== 200) {
        const taken = isNameTaken(response);
        throw failureOf(http, response, {
          what: taken
            ? `the name ${filename} is taken, and only the vendor can free it`
            : 'asking for a signed URL',
          ids: { filename },
          ...(taken ? { class: 'conflict' as const } : {}),
        });
      }
      return readSignedUrl(response, filename, settings);
    },
    async files(filenames, signal) {
      const states: FileState[] = filenames.map(() => ({ state: 'missing' }));
      let asked = filenames.map((_, index) => index);
      // A call that names a missing file says nothing of the others: without it, again.
      while (asked.length > 0) {
        const names = asked.map((index) => filenames[index] as string);
        const response = await call('/fileMetadata', { payload: payloadOf(names) }, signal);
        if (response.status === 200 || response.status === 201) {
          readFiles(response, names).forEach((state, at) => {
            states[asked[at] as number] = state;
          });
          break;
        }
        const missing = response.status === 404 ? missingOf(response, names) : new Set<number>();
        if (missing.size === 0) {
          throw failureOf(http, response, {
            what: 'asking for metadata',
            ids: { filename: names.join(',') },
          });
        }
        asked = asked.filter((_, at) => !missing.has(at));
      }
      return states;
    },
  };
}

/** The indexes that a 404 names, by index or by the end of the path. */
function missingOf(response: TargetResponse, names: readonly string[]): Set<number> {
  const missing = new Set<number>();
  for (const entry of objectsOf(objectOf(response.json)?.['message'])) {
    const path = textOf(entry['filePath']);
    const named = names.findIndex((name) => path.endsWith(`/${name}`));
    const index = named >= 0 ? named : numberOf(entry['index']);
    if (index !== null && Number.isInteger(index) && index < names.length) missing.add(index);
  }
  return missing;
}

/** @throws OrbweaverError `PROTOCOL` when there is not an entry for each name */
function readFiles(response: TargetResponse, names: readonly string[]): FileState[] {
  const json = objectOf(response.json);
  const entries = objectsOf(json?.['results'] ?? json?.['payload']);
  if (entries.length !== names.length) {
    throw protocol(`metadata of ${names.length} files, got ${entries.length}`);
  }
  return entries.map((entry, index) => {
    const filename = textOf(entry['filename']);
    if (filename !== '' && filename !== names[index]) {
      throw protocol(`metadata of ${names[index]}, got that of another file`);
    }
    const hash = hashOf(textOf(entry['hash']));
    const size = numberOf(entry['size']);
    const cid = textOf(entry['cid']);
    // A hash without a CID is not ready yet.
    if (hash === null || size === null || cid === '') return { state: 'calculating', hash, size };
    return { state: 'ready', hash, cid, size };
  });
}

/** `sha256-` and 64 hex digits: not the base64 of web integrity. @throws OrbweaverError `PROTOCOL` */
export function hashOf(text: string): string | null {
  if (text === '') return null;
  const digits = /^sha256-([0-9a-f]{64})$/i.exec(text)?.[1];
  if (digits === undefined)
    throw protocol('"hash" of sha256- and 64 hex digits, got something else');
  return digits.toLowerCase();
}

async function readSignedUrl(
  response: TargetResponse,
  filename: string,
  settings: StartrailSettings,
): Promise<SignedUrl> {
  const json = objectOf(response.json);
  const entries = objectsOf(json?.['results'] ?? json?.['payload']);
  const entry = entries.find((each) => textOf(each['filename']) === filename) ?? entries[0];
  const url = textOf(entry?.['url']);
  const contentType = textOf(entry?.['contentType']);
  const final = textOf(entry?.['finalUrl']);
  if (url === '' || !/^[\x20-\x7e]+$/.test(contentType)) {
    throw protocol('a signed URL with "url" and "contentType", got none');
  }
  const finalUrl = URL.canParse(final) ? new URL(final) : null;
  return {
    url: await settings.urlPolicy.check(url),
    contentType,
    finalUrl: finalUrl === null ? '' : `${finalUrl.origin}${finalUrl.pathname}`,
  };
}

function protocol(expected: string): Error {
  return targetError({
    kind: 'startrail',
    class: 'permanent',
    code: 'PROTOCOL',
    message: `the API expected to say ${expected}`,
  });
}

/** The API's message has three types: a text, texts, objects. */
export function saidBy(response: TargetResponse): string {
  const message: unknown = objectOf(response.json)?.['message'];
  if (Array.isArray(message)) {
    return message
      .map((each) => (typeof each === 'string' ? each : JSON.stringify(each)))
      .join('; ');
  }
  return textOf(message) || response.text.trim();
}

/** The documents do not say where a taken name is refused, nor how: by status or by words. */
export function isNameTaken(response: TargetResponse): boolean {
  if (response.status === 409 || response.status === 412) return true;
  if (response.status !== 400 && response.status !== 422) return false;
  return /already|exist|taken|duplicate|in use|unique/i.test(saidBy(response));
}

/** What {@link failureOf} is told. */
interface ApiFailure {
  readonly what: string;
  readonly ids: TargetIds;
  readonly class?: TargetErrorClass | undefined;
}

function failureOf(http: TargetHttp, response: TargetResponse, failure: ApiFailure): Error {
  const said = http.mask(saidBy(response)).slice(0, 300);
  return targetError({
    kind: 'startrail',
    class: failure.class ?? classOfStatus(response.status),
    message: `${failure.what}: the startrail server responded with ${response.status}${said === '' ? '' : `: ${said}`}`,
    ids: failure.ids,
    fields: { status: response.status },
  });
}
