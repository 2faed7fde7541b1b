import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** The sending half of a WebSocket (RFC 6455): text frames, then a close. */
export interface ServerSocket {
  send(text: string): void;
  /** Says that all is said, and ends the connection. */
  close(): void;
  /** Breaks the connection. */
  destroy(): void;
  onClose(listener: () => void): void;
}

/** Section 1.3 of RFC 6455. */
const KEY_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TEXT_FRAME = 0x81;
const CLOSE_FRAME = 0x88;
const NORMAL_CLOSURE = 1000;

/** Null, and the connection is refused, when the request does not ask for a WebSocket. */
export function acceptSocket(request: IncomingMessage, socket: Duplex): ServerSocket | null {
  const { 'sec-websocket-key': key } = request.headers;
  if (key === undefined) {
    socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n');
    return null;
  }
  const accept = createHash('sha1').update(`${key}${KEY_SUFFIX}`).digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  );
  socket.on('error', () => socket.destroy());
  // What the client says (its close, its pings) is of no interest here.
  socket.resume();
  return {
    send: (text) => void socket.write(frame(TEXT_FRAME, Buffer.from(text))),
    close() {
      const code = Buffer.alloc(2);
      code.writeUInt16BE(NORMAL_CLOSURE);
      socket.end(frame(CLOSE_FRAME, code));
    },
    destroy: () => socket.destroy(),
    onClose: (listener) => void socket.once('close', listener),
  };
}

function frame(kind: number, payload: Buffer): Buffer {
  const { length } = payload;
  if (length < 126) return Buffer.concat([Buffer.from([kind, length]), payload]);
  const head = Buffer.from([kind, 126, 0, 0]);
  head.writeUInt16BE(length, 2);
  return Buffer.concat([head, payload]);
}
