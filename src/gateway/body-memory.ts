import {
  type Budget,
  type Clock,
  Budget as FlowBudget,
  type Reservation,
  Scope,
} from '../flow/index.js';

/**
 * Memory for request bodies of one kind. It is taken while bytes arrive, never by what a length
 * claims. Several half-read bodies that all wait for more would wait for ever, so one of them at a
 * time, the first that waited, may go on to the largest size without asking:
 *
 *     capacity  ├───────── shared ─────────┤── one body ──┤
 */
export interface BodyMemory {
  /** A body that holds nothing yet. `signal`: its sender is gone. */
  open(signal: AbortSignal): BodyAccount;
  /** True while a body waits for memory: those that are slow are not waited for then. */
  readonly isScarce: boolean;
  readonly usedBytes: number;
}

/** What one body holds. */
export interface BodyAccount {
  /**
   * Holds `bytes` in all from now on, or what it held when that was more.
   * @throws OrbweaverError `RATE_LIMITED` when too many wait; `ABORTED` when the sender is gone
   */
  grow(bytes: number): Promise<void>;
  /** Safe to call twice. */
  release(): void;
}

/** What {@link createBodyMemory} is made with. */
export interface BodyMemoryOptions {
  readonly parent: Budget;
  /** All of it; at least one body of the largest size fits whatever this is. */
  readonly capacityBytes: number;
  readonly largestBytes: number;
  readonly maxWaiting: number;
  readonly clock: Clock;
}

export function createBodyMemory(options: BodyMemoryOptions): BodyMemory {
  const { parent, capacityBytes, largestBytes, maxWaiting, clock } = options;
  const shared = parent.part(Math.max(1, capacityBytes - largestBytes));
  /** One place: who has it grows without asking. */
  const lane = new FlowBudget({ capacityBytes: 1, maxWaiting });

  function open(signal: AbortSignal): BodyAccount {
    let held: Reservation | null = null;
    let place: Reservation | null = null;
    let heldBytes = 0;
    return {
      async grow(bytes) {
        if (bytes <= heldBytes) return;
        if (place === null && lane.waitingCount === 0) {
          held ??= shared.tryAcquire(0);
          if (held?.resize(Math.min(bytes, Number.MAX_SAFE_INTEGER)) === true) {
            heldBytes = bytes;
            return;
          }
        }
        if (place === null) {
          const scope = new Scope({ clock, signal, what: 'the request' });
          try {
            place = await lane.acquire(1, scope);
          } finally {
            scope.close();
          }
        }
        heldBytes = bytes;
      },
      release() {
        held?.release();
        place?.release();
        held = null;
        place = null;
        heldBytes = 0;
      },
    };
  }

  return {
    open,
    get isScarce() {
      return lane.waitingCount > 0;
    },
    get usedBytes() {
      return shared.usedBytes;
    },
  };
}
