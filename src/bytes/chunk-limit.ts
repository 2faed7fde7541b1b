/**
 * Largest chunk, in bytes: twice the target of 65536, the protocol's maximum. It stands here because formats, plans
 * and what lies on disk all keep to it.
 */
export const MAX_CHUNK_BYTES = 131072;
