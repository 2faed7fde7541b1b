import { textBody } from '../../../http/index.js';
import { createTargetHttp, type TargetHttp, type TargetResponse } from '../http.js';
import { objectOf, textOf } from '../json-fields.js';
import type { TargetErrorClass, TargetIds } from '../ports.js';
import { type CascadeDetails, readDetails } from './details.js';
import type { CascadeSettings } from './options.js';

/** What else is known about a failure. */
export interface FailureFacts {
  readonly ids?: TargetIds | undefined;
  readonly class?: TargetErrorClass | undefined;
}

/** The requests of a Cascade server, each once, with its quirks. */
export interface CascadeApi {
  readonly http: TargetHttp;
  /** Sends the passphrase as the server reads it: what follows the first space. */
  readonly authorization: string;
  url(path: string): URL;
  details(fileId: string, signal: AbortSignal): Promise<CascadeDetails>;
  /** A JSON request with the passphrase, sent once. */
  spend(path: string, body: object, signal: AbortSignal): Promise<TargetResponse>;
  /** A GET with the passphrase; repeated where that is harmless. */
  get(path: string, options: { authorize: boolean; signal: AbortSignal }): Promise<TargetResponse>;
  /** The error for a response of this server. @default the class is that of {@link classOfResponse} */
  failure(response: TargetResponse, what: string, more?: FailureFacts): Error;
}

export function createCascadeApi(settings: CascadeSettings): CascadeApi {
  const { exchange, clock, random, passphrase } = settings;
  const http = createTargetHttp({
    kind: 'cascade',
    exchange,
    clock,
    random,
    secrets: [passphrase],
  });
  // Without a scheme, a passphrase of two words would lose the first one.
  const authorization = `Bearer ${passphrase}`;
  const url = (path: string): URL => new URL(`${settings.api.href}${path}`);
  const failure = (response: TargetResponse, what: string, more: FailureFacts = {}): Error =>
    http.failure(response, { what, ids: more.ids, class: more.class ?? classOfResponse(response) });

  return {
    http,
    authorization,
    url,
    failure,
    async details(fileId, signal) {
      const response = await http.request({
        method: 'GET',
        url: url(`/registration_details/${encodeURIComponent(fileId)}`),
        repeatable: true,
        signal,
      });
      if (response.status !== 200 && response.status !== 201) {
        throw failure(response, 'asking for the state', { ids: { fileId } });
      }
      return readDetails(response.json);
    },
    spend: (path, body, signal) =>
      http.request({
        method: 'POST',
        url: url(path),
        headers: { 'content-type': 'application/json', authorization },
        body: () => textBody(JSON.stringify(body)),
        repeatable: false,
        signal,
      }),
    get: (path, { authorize, signal }) =>
      http.request({
        method: 'GET',
        url: url(path),
        headers: authorize ? { authorization } : {},
        repeatable: true,
        // A failed volume and a finished download are both said by 500: the caller decides.
        isFinal: ({ status }) => status === 500,
        signal,
      }),
  };
}

/** What the server says in words; empty when it says nothing. */
export function saidBy(response: TargetResponse): string {
  return textOf(objectOf(response.json)?.['message']) || response.text.trim();
}

/** What the words of a failure mean, where the status alone would mislead. */
export function classOfResponse(response: TargetResponse): TargetErrorClass | undefined {
  const said = saidBy(response);
  if (/maximum allowed size/i.test(said)) return 'permanent';
  if (/no space left|disk (?:is )?full|quota/i.test(said)) return 'quota';
  return /burn tx/i.test(said) ? 'payment-required' : undefined;
}

/**
 * 400 `decode_payload` stands for everything that goes wrong while a file is taken, the server's own
 * faults included: only the text tells them apart.
 */
export function classOfUpload(response: TargetResponse): TargetErrorClass | undefined {
  const named = classOfResponse(response);
  if (named !== undefined || response.status !== 400) return named;
  const decode = textOf(objectOf(response.json)?.['name']) === 'decode_payload';
  const ours = /request Content-Type|file name|part called/i.test(saidBy(response));
  return decode && !ours ? 'transient' : undefined;
}
