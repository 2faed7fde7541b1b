import { session, signOut } from './session.js';

/** Where the gateway lies: one above the page, whatever the prefix and the proxy. */
export const BASE: string = new URL('../', document.baseURI).href;

/** A request that failed, in words for whoever looks at the page. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface ApiOptions {
  readonly method?: string;
  readonly json?: unknown;
  readonly body?: Blob | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** @default the one that is signed in */
  readonly token?: string;
}

/** Asks the gateway. @throws ApiError */
export async function api(path: string, options: ApiOptions = {}): Promise<Response> {
  const { method = 'GET', json, signal } = options;
  const token = options.token ?? session.get()?.token ?? '';
  const headers: Record<string, string> = { authorization: `Bearer ${token}`, ...options.headers };
  if (json !== undefined) headers['content-type'] = 'application/json';
  const body = json === undefined ? options.body : JSON.stringify(json);
  let response: Response;
  try {
    response = await fetch(new URL(path, BASE), {
      ...{ method, headers, credentials: 'omit', cache: 'no-store' },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'The gateway cannot be reached. Is it running, and is the network up?');
  }
  if (response.ok) return response;
  const error = new ApiError(response.status, await reasonOf(response));
  if (response.status === 401 && options.token === undefined) {
    signOut('The gateway does not take this token any more. Sign in again.');
  }
  throw error;
}

export async function apiJson<Value>(path: string, options?: ApiOptions): Promise<Value> {
  return (await api(path, options)).json() as Promise<Value>;
}

const IN_WORDS: Readonly<Record<number, string>> = {
  401: 'The gateway does not know this token.',
  403: 'This token may not do that.',
  412: 'Somebody else changed the branch meanwhile.',
  413: 'That is too much: a limit or a quota is used up.',
  429: 'Too many requests; the gateway asks for a pause.',
  503: 'The gateway is busy or shutting down. Try again in a moment.',
  507: 'The store is full.',
};

async function reasonOf(response: Response): Promise<string> {
  const said = IN_WORDS[response.status];
  const text = await response.text().catch(() => '');
  let detail = '';
  try {
    detail = String((JSON.parse(text) as { error?: unknown }).error ?? '');
  } catch {
    // Not from the gateway: a proxy in front of it, perhaps.
  }
  if (said === undefined) return sentence(detail || `The gateway answered ${response.status}.`);
  return response.status === 401 || detail === '' ? said : `${said} (${detail})`;
}

const sentence = (text: string): string =>
  text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');

/** What to say of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}
