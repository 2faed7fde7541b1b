import { type Clock, type Scope, Speed, secondsLeft } from '../flow/index.js';
import { callListener } from './listener.js';

/** A listener hears at least this often while a transfer runs, milliseconds. */
const HEARTBEAT_MS = 450;

/** How fast a transfer is. */
export interface Pace {
  /** Of the last five seconds and of this phase. */
  readonly bytesPerSecond: number;
  /** Undefined: not known. */
  readonly secondsLeft: number | undefined;
}

/** What is told besides. */
interface Standing {
  readonly phase: string;
  readonly totalBytes: number | undefined;
}

/** What a {@link Teller} is made with. */
export interface TellerOptions<S extends Standing> {
  readonly clock: Clock;
  /** Nothing is told by itself when it is over. */
  readonly scope: Scope;
  readonly listener: ((progress: S & Pace) => void) | undefined;
  /** Told of what the listener threw; it is not called again then. */
  readonly onError?: ((error: Error) => void) | undefined;
  /** Where the transfer stands. */
  readonly standing: () => S;
  /** What of `totalBytes` is done. */
  readonly doneOf: (standing: S) => number;
}

/** Tells a listener where a transfer stands: when something happens, and while nothing does. */
export class Teller<S extends Standing> {
  readonly #options: TellerOptions<S>;
  readonly #speed: Speed;
  #listener: TellerOptions<S>['listener'];
  #toldMs: number;
  #phase = '';

  constructor(options: TellerOptions<S>) {
    const { clock, listener } = options;
    this.#options = options;
    this.#toldMs = clock.now();
    this.#speed = new Speed(this.#toldMs);
    this.#listener = listener;
    if (listener !== undefined) this.#beat();
  }

  tell(): void {
    const listener = this.#listener;
    if (listener === undefined) return;
    const { clock, standing: make, doneOf, onError } = this.#options;
    const standing = make();
    const { phase, totalBytes } = standing;
    const doneBytes = doneOf(standing);
    this.#toldMs = clock.now();
    // What is read back from a disk says nothing about what comes over a link.
    if (phase !== this.#phase) this.#speed.restart(this.#toldMs, doneBytes);
    this.#phase = phase;
    const bytesPerSecond = this.#speed.at(this.#toldMs, doneBytes);
    const left = secondsLeft(doneBytes, totalBytes, bytesPerSecond);
    callListener(
      () => listener({ ...standing, bytesPerSecond, secondsLeft: left }),
      (error) => {
        this.#listener = undefined;
        onError?.(error);
      },
    );
  }

  #beat(): void {
    const { clock, scope } = this.#options;
    if (scope.ended) return;
    let forget = (): void => {};
    const beat = (): void => {
      forget();
      if (this.#listener === undefined) return;
      if (clock.now() - this.#toldMs >= HEARTBEAT_MS) this.tell();
      this.#beat();
    };
    forget = scope.onEnd(clock.setTimer(HEARTBEAT_MS, beat, { background: true }));
  }
}
