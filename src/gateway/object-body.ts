import type { ObjectReader, PulledBody } from './ports.js';
import type { ByteSpan } from './ranges.js';

/**
 * Bodies made of ranges of one stored object, and of bytes between them: the store reads straight
 * into the memory of whoever sends them, so that serving a range allocates nothing per piece.
 */

/** Bytes as they are, or a range of the object. */
export type BodyPart = Uint8Array | ByteSpan;

/**
 * The body of `parts`. `open` is called when it is first filled; a failure there or later is
 * `report`ed, because the status went out before, unless the body was closed meanwhile.
 */
export function objectBody(options: {
  parts: readonly BodyPart[];
  open: () => Promise<ObjectReader>;
  report: (error: unknown) => void;
}): PulledBody {
  const { parts, open, report } = options;
  let opened: Promise<ObjectReader> | undefined;
  let index = 0;
  /** Bytes of the part in progress that were given out. */
  let done = 0;
  let filling: Promise<unknown> | undefined;
  let closed: Promise<void> | undefined;

  const fill = async (into: Uint8Array): Promise<number> => {
    let filled = 0;
    for (let part = parts[index]; part !== undefined && filled < into.length; part = parts[index]) {
      const length = lengthOf(part);
      const whole = filled === 0 && into.length <= length - done;
      const target = whole ? into : into.subarray(filled, filled + length - done);
      if (part instanceof Uint8Array) target.set(part.subarray(done, done + target.length));
      else {
        opened ??= open();
        await (await opened).readAt(target, part.start + done);
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
    await filling?.catch(() => undefined);
    const reader = await opened?.catch(() => undefined);
    await reader?.close();
  };

  return {
    lengthBytes: parts.reduce((sum, part) => sum + lengthOf(part), 0),
    async fill(into: Uint8Array): Promise<number> {
      if (closed !== undefined) return 0;
      try {
        filling = fill(into);
        return (await filling) as number;
      } catch (error) {
        if (closed === undefined) report(error);
        throw error;
      }
    },
    close(): Promise<void> {
      closed ??= end();
      return closed;
    },
  };
}

function lengthOf(part: BodyPart): number {
  return part instanceof Uint8Array ? part.length : part.end - part.start;
}
