import type { Body } from '../http/index.js';
import type { ObjectReader } from './ports.js';
import type { ByteSpan } from './ranges.js';

/**
 * Bodies made of ranges of one stored object, and of bytes between them: the store reads straight
 * into the memory of whoever sends them, so that serving a range allocates nothing per piece.
 */

/** Bytes as they are, or a range of the object. */
export type BodyPart = Uint8Array | ByteSpan;

/**
 * The body of `parts`, which closes `reader` when it was read, broke or is cancelled. A failure is
 * `report`ed, because the status went out before, unless the body was cancelled meanwhile.
 */
export function objectBody(options: {
  parts: readonly BodyPart[];
  reader: ObjectReader;
  report: (error: unknown) => void;
}): Body {
  const { parts, reader, report } = options;
  let index = 0;
  /** Bytes of the part in progress that were given out. */
  let done = 0;
  let filling: Promise<unknown> | undefined;
  let ended = false;

  const fill = async (into: Uint8Array): Promise<number> => {
    let filled = 0;
    for (let part = parts[index]; part !== undefined && filled < into.length; part = parts[index]) {
      const length = lengthOf(part);
      const whole = filled === 0 && into.length <= length - done;
      const target = whole ? into : into.subarray(filled, filled + length - done);
      if (part instanceof Uint8Array) target.set(part.subarray(done, done + target.length));
      else {
        if (done === 0) reader.expect?.(part.start, part.end);
        await reader.readAt(target, part.start + done);
      }
      filled += target.length;
      done += target.length;
      if (done < length) break;
      index++;
      done = 0;
    }
    return filled;
  };
  // The object goes back after the read that is under way: its file must not be closed before.
  const end = async (): Promise<void> => {
    if (ended) return;
    ended = true;
    await filling?.catch(() => undefined);
    await reader.close();
  };

  return {
    sizeBytes: parts.reduce((sum, part) => sum + lengthOf(part), 0),
    async fill(into) {
      if (ended) return 0;
      const reading = fill(into);
      filling = reading;
      try {
        const filled = await reading;
        if (filled === 0) await end();
        return filled;
      } catch (error) {
        if (!ended) report(error);
        await end();
        throw error;
      }
    },
    cancel() {
      end().catch(() => undefined);
    },
  };
}

function lengthOf(part: BodyPart): number {
  return part instanceof Uint8Array ? part.length : part.end - part.start;
}
