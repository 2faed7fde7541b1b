/**
 * Keys of signed tokens. Each is kept by itself under a name that never changes, so adding and removing
 * need no order: gateways that do it at the same time end up with all that is there.
 */
export interface TokenKey {
  /** What tokens name it by: 1 to 64 of `a-z 0-9 -`. */
  readonly id: string;
  /** 32 bytes. */
  readonly secret: Uint8Array;
  /** Milliseconds since 1970; the newest one signs. */
  readonly createdMs: number;
}

/** Where they are kept. */
export interface TokenKeys {
  list(): Promise<readonly TokenKey[]>;
  add(key: TokenKey): Promise<void>;
  /** Tokens that it signed are no good any more. False: there was none. */
  remove(id: string): Promise<boolean>;
}

/** Keys that end with the process. */
export function memoryTokenKeys(): TokenKeys {
  const keys = new Map<string, TokenKey>();
  return {
    list: async () => [...keys.values()],
    add: async (key) => void keys.set(key.id, key),
    remove: async (id) => keys.delete(id),
  };
}

const ID = /^[a-z0-9][a-z0-9-]{0,63}$/;

export function isTokenKeyId(id: string): boolean {
  return ID.test(id);
}
