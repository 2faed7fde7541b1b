import { OrbweaverError } from '../../errors.js';
import { type Budget, Deferred, type Reservation, type Scope } from '../../flow/index.js';
import { type Body, bytesBody } from '../../http/index.js';
import type { Part, PartAck, PartBody } from './ports.js';
import type { Reading } from './reading.js';

/** What {@link sendParts} works with. */
export interface SendPartsOptions {
  readonly parts: readonly Part[];
  readonly parallelParts: number;
  /** The target cuts: parts are held in memory while they are sent. Otherwise each is streamed. */
  readonly inMemory: boolean;
  readonly reopenable: boolean;
  readonly reading: Reading;
  readonly budget: Budget;
  readonly scope: Scope;
  readonly send: (part: Part, body: PartBody) => Promise<PartAck>;
  /** Bytes of a part that have gone out; 0 when it begins again. */
  readonly onSent: (part: Part, bytes: number) => void;
}

/**
 * Sends parts, in order of reading, some at a time. A part lies in memory from its reading to its
 * acknowledgement, so that it can be sent again without a second reading; one that is larger than the
 * whole budget is streamed instead, alone. The first failure ends it; it settles when nothing of it
 * runs any more.
 */
export async function sendParts(options: SendPartsOptions): Promise<void> {
  const { parts, parallelParts, inMemory, reading, budget, scope, send } = options;
  const own = scope.child();
  const buffers = new PartBuffers();
  let openCount = 0;
  let slot: Deferred<void> | null = null;

  let first: { readonly error: unknown } | null = null;

  const leave = (): void => {
    openCount--;
    slot?.resolve();
    slot = null;
  };
  const enter = async (limit: number): Promise<void> => {
    while (openCount >= limit) {
      slot ??= new Deferred();
      await own.race(slot.promise);
    }
    own.check();
    openCount++;
  };

  const hold = async (part: Part, held: Reservation): Promise<void> => {
    const sizeBytes = part.end - part.start;
    const buffer = buffers.take(sizeBytes);
    let digested: Promise<void> = Promise.resolve();
    try {
      ({ digested } = await reading.readPart(part.start, buffer));
    } catch (error) {
      held.release();
      leave();
      throw error;
    }
    void own.spawn(
      (async () => {
        try {
          await send(part, {
            sizeBytes,
            reopenable: true,
            open: async () => counted(bytesBody(buffer), (bytes) => options.onSent(part, bytes)),
          });
          await digested;
          buffers.giveBack(buffer);
        } catch (error) {
          first ??= { error };
          throw error;
        } finally {
          held.release();
          leave();
        }
      })(),
    );
  };
  const streamed = async (part: Part): Promise<void> => {
    await send(part, {
      sizeBytes: part.end - part.start,
      reopenable: options.reopenable,
      open: async () =>
        counted(await reading.streamPart(part.start, part.end), (bytes) =>
          options.onSent(part, bytes),
        ),
    });
  };

  try {
    for (const part of parts) {
      const sizeBytes = part.end - part.start;
      if (!inMemory || sizeBytes > budget.capacityBytes) {
        await enter(1);
        try {
          await streamed(part);
        } finally {
          leave();
        }
      } else {
        await enter(parallelParts);
        const reservation = await budget.acquire(sizeBytes, own).catch((error: unknown) => {
          leave();
          throw error;
        });
        await hold(part, reservation);
      }
    }
  } catch (error) {
    first ??= { error };
    own.end(error);
  }
  // The signal that the parts were given belongs to the whole transfer: a failed part waits for the
  // others, which are worth having.
  await own.settled();
  own.close();
  const failed = first as { readonly error: unknown } | null;
  if (failed !== null) throw failed.error;
}

/** Buffers in shared memory, used again for parts of the same size: all but the last. */
class PartBuffers {
  #free: Uint8Array[] = [];

  take(sizeBytes: number): Uint8Array {
    const index = this.#free.findIndex(({ length }) => length === sizeBytes);
    const [found] = index < 0 ? [] : this.#free.splice(index, 1);
    return found ?? new Uint8Array(new SharedArrayBuffer(sizeBytes));
  }

  giveBack(buffer: Uint8Array): void {
    this.#free.push(buffer);
  }
}

/** Tells how many bytes have been taken from a body so far. */
function counted(body: Body, onCount: (bytes: number) => void): Body {
  let bytes = 0;
  const add = (count: number): void => {
    if (count === 0) return;
    bytes += count;
    onCount(bytes);
  };
  onCount(0);
  const { nextView, rewind } = body;
  return {
    ...(body.sizeBytes === undefined ? {} : { sizeBytes: body.sizeBytes }),
    async fill(into) {
      const count = await body.fill(into);
      add(count);
      return count;
    },
    ...(nextView === undefined
      ? {}
      : {
          nextView(maxBytes: number): Uint8Array {
            const view = nextView.call(body, maxBytes);
            add(view.length);
            return view;
          },
        }),
    ...(rewind === undefined
      ? {}
      : {
          rewind(): void {
            rewind.call(body);
            bytes = 0;
            onCount(0);
          },
        }),
    cancel: (reason) => body.cancel(reason),
  };
}

/** A plan whose parts cannot be right. @throws OrbweaverError `PROTOCOL` */
export function checkParts(parts: readonly Part[], sizeBytes: number): void {
  let index = -1;
  let end = 0;
  for (const part of parts) {
    const right = part.index > index && part.start >= end && part.end >= part.start;
    if (!right || part.end > sizeBytes) {
      throw new OrbweaverError(
        'PROTOCOL',
        `part ${part.index} expected bytes from ${end} to ${sizeBytes} at most, got ${part.start} to ${part.end}`,
      );
    }
    ({ index, end } = part);
  }
}
