import { OrbweaverError } from '../errors.js';

/**
 * A thing that has exactly one owner: a slab, a buffer, a file. The owner hands it on with
 * {@link move} and gives it up with {@link release}; whoever uses it for a while (a thread, a socket,
 * a sink) borrows it. It goes back only when its owner has released it and the last borrower is done:
 *
 *     owner     ●──────────── move ─► ●────── release
 *     borrower        ●───────────────────────────── done ─► goes back here
 *
 * Using it after it was moved or released is a mistake of the program and throws.
 */
export class Owned<T> {
  #cell: Cell<T> | null;

  /** `giveBack` is called once, with the value, when nobody uses it any more. */
  constructor(value: T, giveBack: (value: T) => void);
  constructor(cell: Cell<T>);
  constructor(first: T | Cell<T>, giveBack?: (value: T) => void) {
    this.#cell = first instanceof Cell ? first : new Cell(first, giveBack as (value: T) => void);
  }

  /** @throws OrbweaverError `INTERNAL` after {@link move} or {@link release} */
  get value(): T {
    return this.#live().value;
  }

  /** False after {@link move} and {@link release}. */
  get isHeld(): boolean {
    return this.#cell !== null;
  }

  /** Hands it on: the result is the owner, this handle is dead. */
  move(): Owned<T> {
    const cell = this.#live();
    this.#cell = null;
    return new Owned(cell);
  }

  /** The returned function ends the loan; calling it twice is harmless. */
  borrow(): () => void {
    const cell = this.#live();
    cell.users++;
    let over = false;
    return () => {
      if (over) return;
      over = true;
      cell.leave();
    };
  }

  /** Gives it up. Safe to call twice, and after {@link move}, where it does nothing. */
  release(): void {
    const cell = this.#cell;
    this.#cell = null;
    cell?.leave();
  }

  #live(): Cell<T> {
    if (this.#cell === null) {
      throw new OrbweaverError('INTERNAL', 'a buffer was used after it was moved or released');
    }
    return this.#cell;
  }
}

/** The value and how many use it, its owner included. */
class Cell<T> {
  readonly value: T;
  users = 1;
  readonly #giveBack: (value: T) => void;

  constructor(value: T, giveBack: (value: T) => void) {
    this.value = value;
    this.#giveBack = giveBack;
  }

  leave(): void {
    this.users--;
    if (this.users === 0) this.#giveBack(this.value);
  }
}
