import { createSecureContext } from 'node:tls';
import { OrbweaverError } from '../errors.js';

/** A certificate, with those between it and a root behind it, and its key; PEM. */
export interface NodeTls {
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
}

/** As `node:https` takes it. */
export interface NodeTlsOptions {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/**
 * Checks that certificate and key can be used and belong together.
 * @throws OrbweaverError `USAGE`
 */
export function checkedTls({ cert, key }: NodeTls): NodeTlsOptions {
  const options = { cert: Buffer.from(cert), key: Buffer.from(key) };
  try {
    createSecureContext(options);
    return options;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const what = code.includes('MISMATCH')
      ? 'the key does not belong to the certificate'
      : 'expected a certificate and its key, unencrypted, as PEM';
    throw new OrbweaverError('USAGE', `TLS: ${what} (${code || 'unreadable'})`, {}, error);
  }
}
