/**
 * The half of this room that downloads need, as a door of its own: with the other half, its queues and
 * its dedup, loading it would take longer than a small download.
 */
export { downloadFile } from './download/index.js';
