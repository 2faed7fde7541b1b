/** Upper end of the default budget. Origin: docs/architecture.md, the way of the data. */
export const DEFAULT_MAX_MEMORY_BYTES: number = 96 * 1024 * 1024;

/** Most worker threads taken by default. More feed no single disk or network we know of. */
export const DEFAULT_MAX_THREADS = 8;
