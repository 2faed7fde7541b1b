import type { Exchange } from '../../http/index.js';

/**
 * The uploading side that the Hub needs for files that come whole, and not as chunks: a client of this
 * same gateway, in this process. What they are stored as is what any client would have made of them.
 */
export interface HubEngine {
  /**
   * Stores files through `gateway`. The results are in the order of the files.
   * @throws what reading a file throws; OrbweaverError for what the upload fails with
   */
  store(
    gateway: Exchange,
    files: readonly HubUpload[],
    signal: AbortSignal,
  ): Promise<readonly HubStored[]>;
  close(): Promise<void>;
}

/** Bytes, or bytes that come one after another. */
export type HubUpload = Uint8Array | AsyncIterable<Uint8Array>;

export interface HubStored {
  /** 64 hexadecimal digits. */
  readonly fileHash: string;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
}
