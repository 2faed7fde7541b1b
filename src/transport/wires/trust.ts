import { readFileSync } from 'node:fs';
import tls, { type SecureContext } from 'node:tls';

/** What `tls` has in newer versions of Node only. */
interface NewerTls {
  readonly getCACertificates?: (store: 'default' | 'system') => string[];
}

/** Whose certificates are believed. */
export interface Trust {
  /** For `tls.connect`; undefined: what Node believes by itself, NODE_EXTRA_CA_CERTS included. */
  readonly context: SecureContext | undefined;
  /**
   * Believes the authorities of the system's store, too, from now on: a company's own one is most often there.
   * Only after a certificate was refused, because reading the store takes long on some systems.
   * @returns whether there is more to believe than in `used`
   */
  widen(used: SecureContext | undefined): boolean;
}

/** @param ca authorities in PEM, on top of the built-in ones; empty: none */
export function createTrust(ca: string): Trust {
  const more = ca === '' ? [] : [ca];
  let context = more.length === 0 ? undefined : contextWith(more);
  let isWidened = false;
  return {
    get context() {
      return context;
    },
    widen(used) {
      if (!isWidened) {
        isWidened = true;
        const system = (tls as NewerTls).getCACertificates?.('system') ?? [];
        if (system.length > 0) context = contextWith([...more, ...system]);
      }
      return context !== used;
    },
  };
}

/** Made once for all connections: reading hundreds of certificates takes milliseconds. */
function contextWith(more: readonly string[]): SecureContext {
  const ours = (tls as NewerTls).getCACertificates?.('default') ?? builtIn();
  return tls.createSecureContext({ ca: [...ours, ...more] });
}

/** What an older Node believes by itself, which it does not say. */
function builtIn(): readonly string[] {
  const extra = process.env['NODE_EXTRA_CA_CERTS'] ?? '';
  if (extra === '') return tls.rootCertificates;
  try {
    return [...tls.rootCertificates, readFileSync(extra, 'utf8')];
  } catch {
    // Node has warned of it.
    return tls.rootCertificates;
  }
}
