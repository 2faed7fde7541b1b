import { type HttpResponse, textBody } from '../../http/index.js';
import type { Generation, StoredFile } from './types.js';

/** Responses in the words of each generation. */

export function json(status: number, value: unknown): HttpResponse {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: textBody(JSON.stringify(value)),
  };
}

export function empty(status: number): HttpResponse {
  return { status, headers: { 'content-length': '0' }, body: null };
}

/** `{code,message,status}` of g0 and g1, `{error}` of g2. */
export function failure(
  generation: Generation,
  status: number,
  code: string,
  message: string,
): HttpResponse {
  return json(
    status,
    generation === 'g2' ? { error: message } : { code, message, status, traceId: '0' },
  );
}

export function notFound(generation: Generation): HttpResponse {
  return generation === 'g2'
    ? json(404, { error: 'upload task not found' })
    : json(404, {
        code: 'NOT_FOUND',
        message: "The requested resource 'Upload task' was not found.",
        status: 404,
        detail: 'Upload task',
      });
}

/** What model binding says, which is not the form of other errors. */
export function invalid(generation: Generation, field: string): HttpResponse {
  if (generation === 'g2') return json(400, { error: `${field} is required` });
  return {
    status: 400,
    headers: { 'content-type': 'application/problem+json' },
    body: textBody(
      JSON.stringify({
        type: 'https://tools.ietf.org/html/rfc9110#section-15.5.1',
        title: 'One or more validation errors occurred.',
        status: 400,
        errors: { [field]: [`The ${field} field is required.`] },
      }),
    ),
  };
}

export function fileJson(file: StoredFile): object {
  return {
    id: file.id,
    name: file.name,
    mime_type: file.mimeType,
    hash: file.hash,
    size: file.size,
    account_id: file.owner,
  };
}
