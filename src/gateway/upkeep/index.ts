/** The upkeep of a store, while gateways go on working on it. Everything here works over `ObjectStore`. */

export {
  COLLECT_DEFAULTS,
  type Collected,
  type CollectOptions,
  collectGarbage,
} from './collect.js';
