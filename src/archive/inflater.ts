import { Inflate } from 'fflate';
import { OrbweaverError } from '../errors.js';
import { zipInvalid } from './zip-error.js';

/** A raw deflate stream, inflated as it comes in, which knows where it ends. */
export interface Inflater {
  /** What these bytes inflate to (up to 1032 times as much: keep them few). */
  push(bytes: Uint8Array): Uint8Array[];
  /** True when the last block has been read to its end. */
  readonly ended: boolean;
  /** Bytes pushed that lie behind the end; 0 before it. */
  readonly unusedBytes: number;
}

/** So many compressed bytes at a time: at worst they make 16 MiB. */
export const INFLATE_STEP_BYTES: number = 1 << 14;

/**
 * fflate does not say where a stream ends, but its own gzip reader asks these fields: `s.f` last
 * block begun, `s.l` code table of the block in progress, `p` bytes not yet used, `s.p` bits used of
 * the first of them. A test pins them to the installed version; if they were ever gone, `push`
 * refuses instead of guessing.
 */
interface InflateState {
  readonly s: { readonly f?: number; readonly l?: unknown; readonly p?: number };
  readonly p: Uint8Array;
}

export function createInflater(archive: string, entry: string): Inflater {
  let output: Uint8Array[] = [];
  const inflate = new Inflate((chunk) => {
    if (chunk.length > 0) output.push(chunk);
  });
  const state = inflate as unknown as InflateState;
  const ended = (): boolean => Boolean(state.s.f) && !state.s.l;
  return {
    push(bytes) {
      if (!(state.p instanceof Uint8Array && typeof state.s === 'object')) {
        throw new OrbweaverError('INTERNAL', 'fflate keeps its state elsewhere in this version');
      }
      output = [];
      try {
        inflate.push(bytes, false);
      } catch (error) {
        const got = error instanceof Error ? error.message : String(error);
        throw zipInvalid(archive, `deflate data in "${entry}"`, got, { entry });
      }
      return output;
    },
    get ended() {
      return ended();
    },
    get unusedBytes() {
      if (!ended()) return 0;
      return state.p.length - ((state.s.p ?? 0) > 0 ? 1 : 0);
    },
  };
}
