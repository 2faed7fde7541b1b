/** Requests, responses and bodies, as clients and servers share them. No I/O, nothing of Node. */
export {
  bytesBody,
  drain,
  joinedBody,
  type Pulled,
  piecesBody,
  piecesOf,
  pulledBody,
  readAll,
  textBody,
} from './bodies.js';
export { joinedHeaders } from './headers.js';
export type {
  Body,
  Exchange,
  HttpHeaders,
  HttpRequest,
  HttpResponse,
} from './types.js';
