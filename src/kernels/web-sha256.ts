import type { Sha256 } from './sha256.js';

/**
 * Makes what makes streaming SHA-256s without Node, by hash-wasm. All of a thread share one instance of
 * it, which keeps the state of one stream at a time: whoever goes on brings his own along.
 */
export async function createSha256s(): Promise<() => Sha256> {
  const { createSHA256 } = await import('./hash-wasm/sha256.js');
  const hash = await createSHA256();
  hash.init();
  const fresh = hash.save();
  let owner: object | null = null;
  let keep: () => void = () => {};
  return () => {
    let state = fresh;
    const own = {};
    const enter = (): void => {
      if (owner === own) return;
      keep();
      hash.load(state);
      owner = own;
      keep = () => {
        state = hash.save();
      };
    };
    return {
      update(bytes) {
        enter();
        hash.update(bytes);
      },
      digest() {
        enter();
        owner = null;
        keep = () => {};
        return hash.digest('binary');
      },
    };
  };
}
