import { readFile } from 'node:fs/promises';
import { inputError } from '../io/index.js';
import type { TokenOption, TokenSource } from '../transport/index.js';

/** A file with nothing but a token, such as a cluster mounts and replaces. */
export interface TokenFile {
  /** Read before the first request, and again when the server refuses what it said. */
  readonly file: string;
}

/** A token as the transport takes it. */
export function tokenOptionOf(token: TokenOption | TokenFile): TokenOption {
  return typeof token === 'object' && 'file' in token ? tokenFileSource(token.file) : token;
}

/** @throws OrbweaverError from its methods: `INPUT_NOT_FOUND`, `INPUT_UNREADABLE` */
function tokenFileSource(path: string): TokenSource {
  if (typeof path !== 'string' || path === '') throw new TypeError('"token.file" expected a path');
  let token: Promise<string> | null = null;
  const refresh = (): Promise<string> => {
    token = readFile(path, 'utf8').then(
      (text) => text.trim(),
      (error: unknown) => {
        token = null;
        throw inputError(error, path);
      },
    );
    return token;
  };
  return { get: () => token ?? refresh(), refresh };
}
