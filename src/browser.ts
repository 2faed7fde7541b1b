export * from './browser/index.js';
export { createLimits, type TransferLimits } from './compose/limits.js';
export { isOrbweaverError, OrbweaverError } from './errors.js';
