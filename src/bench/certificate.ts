import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** A key and the certificate that vouches for itself, both PEM. */
export interface SelfSigned {
  readonly key: string;
  readonly cert: string;
}

const REQUEST =
  'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout - -out - -days 2 ' +
  '-subj /CN=orbweaver-bench -addext subjectAltName=DNS:localhost,IP:127.0.0.1';

/**
 * A certificate for `localhost` and `127.0.0.1`, for measurements on loopback. Node makes keys and reads
 * certificates but does not write them, so the `openssl` program does.
 *
 * @throws Error when that is not installed
 */
export async function createSelfSigned(): Promise<SelfSigned> {
  const { stdout } = await promisify(execFile)('openssl', REQUEST.split(' ')).catch((error) => {
    throw new Error('TLS needs the program "openssl" for a certificate', { cause: error });
  });
  const [key, cert] = stdout.split(/(?<=-----END PRIVATE KEY-----\n)/);
  if (key === undefined || cert === undefined) throw new Error('openssl made no certificate');
  return { key, cert };
}
