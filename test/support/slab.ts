import type { Slab } from '../../src/client/ports.js';
import { Owned } from '../../src/flow/index.js';

/** A slab over `bytes` with the rules of ownership; `giveBack` is called when nobody uses it any more. */
export function slabOf(bytes: Uint8Array, giveBack: () => void = () => undefined): Slab {
  return handleOn(new Owned(bytes, giveBack));
}

function handleOn(owned: Owned<Uint8Array>): Slab {
  return {
    get bytes() {
      return owned.value;
    },
    borrow: () => owned.borrow(),
    move: () => handleOn(owned.move()),
    release: () => owned.release(),
  };
}
