/**
 * How bytes move through stages: cancellation, ownership, order, memory and time as a few shared
 * primitives. Pure: no I/O, nothing of Node.
 */
export { abortedError, raceAbort, throwIfAborted } from './abort.js';
export { Budget, type BudgetOptions, type Reservation } from './budget.js';
export type { Clock, TimerOptions } from './clock.js';
export { Deferred } from './deferred.js';
export { Goodput, type GoodputOptions } from './goodput.js';
export { type OrderedOptions, type OrderedStage, ordered } from './ordered.js';
export { Owned } from './owned.js';
export { RateLimit } from './rate-limit.js';
export { Scope, type ScopeOptions } from './scope.js';
export { Speed, secondsLeft } from './speed.js';
