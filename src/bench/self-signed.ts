import { createHash, generateKeyPairSync, sign } from 'node:crypto';

/** A key and the certificate that vouches for itself, both PEM. */
export interface SelfSigned {
  readonly key: string;
  readonly cert: string;
}

/** Tags of DER (X.690). */
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OID = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const SEQUENCE = 0x30;
const SET = 0x31;

const OID_COMMON_NAME = '550403';
const OID_BASIC_CONSTRAINTS = '551d13';
const OID_SUBJECT_ALT_NAME = '551d11';
const OID_ECDSA_SHA256 = '2a8648ce3d040302';

/**
 * A certificate for `localhost` and `127.0.0.1`, valid for a day around now, made here (RFC 5280)
 * because Node makes keys and reads certificates but does not write them. For measurements on
 * loopback only.
 */
export function createSelfSigned(): SelfSigned {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const algorithm = der(SEQUENCE, oid(OID_ECDSA_SHA256));
  const name = der(
    SEQUENCE,
    der(SET, der(SEQUENCE, oid(OID_COMMON_NAME), der(UTF8_STRING, Buffer.from('orbweaver bench')))),
  );
  const day = 24 * 60 * 60 * 1000;
  const validity = der(SEQUENCE, utc(Date.now() - day), utc(Date.now() + day));
  const altNames = der(
    SEQUENCE,
    der(0x82, Buffer.from('localhost')),
    der(0x87, Buffer.from([127, 0, 0, 1])),
  );
  const authority = der(SEQUENCE, der(0x01, Buffer.from([0xff])));
  const extensions = der(
    0xa3,
    der(
      SEQUENCE,
      der(SEQUENCE, oid(OID_BASIC_CONSTRAINTS), der(OCTET_STRING, authority)),
      der(SEQUENCE, oid(OID_SUBJECT_ALT_NAME), der(OCTET_STRING, altNames)),
    ),
  );
  const version = der(0xa0, der(INTEGER, Buffer.from([2])));
  const serial = createHash('sha256').update(spki).digest().subarray(0, 8);
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40;
  const toSign = der(
    SEQUENCE,
    version,
    der(INTEGER, serial),
    algorithm,
    name,
    validity,
    name,
    spki,
    extensions,
  );
  const signature = sign('sha256', toSign, privateKey);
  const certificate = der(
    SEQUENCE,
    toSign,
    algorithm,
    der(BIT_STRING, Buffer.concat([Buffer.from([0]), signature])),
  );
  const lines = certificate.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  };
}

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function oid(hex: string): Buffer {
  return der(OID, Buffer.from(hex, 'hex'));
}

/** `YYMMDDhhmmssZ`. */
function utc(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\D/g, '');
  return der(UTC_TIME, Buffer.from(`${digits.slice(2, 14)}Z`));
}
