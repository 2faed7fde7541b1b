/** A place that bytes are read from, once, in order. Implementations: `io/`, `archive/`. */
export interface Source {
  /** Path or label, for results and messages. */
  readonly name: string;
  /** Bytes, when known before reading; a reader that ends elsewhere is `INPUT_CHANGED`. */
  readonly sizeBytes?: number;
  /**
   * Forty bytes that are the same only for the same bytes: what the system says of a file (times, inode,
   * size, device). Without it a source is read whenever it is uploaded.
   */
  readonly identity?: Uint8Array;
  /** True when `open` may be called again and yields the same bytes (files, blobs, arrays). */
  readonly reopenable: boolean;
  open(signal?: AbortSignal): Promise<SourceReader>;
  /**
   * The same from `offset` on, for sources that can be read anywhere and in several places at once. A file that
   * is not what it was when it was looked up is `INPUT_CHANGED`.
   */
  openAt?(offset: number, signal?: AbortSignal): Promise<SourceReader>;
  /**
   * Reads all `sizeBytes` into the start of `into`, which is longer than that, before it returns: for
   * small files on quick disks, where promises cost more than the reading. False: not now, `open`
   * it.
   * @throws what `open` and `read` reject with
   */
  readNow?(into: Uint8Array): boolean;
}

export interface SourceReader {
  /** Reads the next bytes into the start of `into` (a view, maybe of shared memory); 0 = end. */
  read(into: Uint8Array): Promise<number>;
  close(): Promise<void>;
}

/** Bytes that can be read anywhere (a ZIP's central directory, an old copy). */
export interface RandomAccess {
  readonly name: string;
  readonly sizeBytes: number;
  /** Fills all of `into` from `offset`; fewer bytes is `INPUT_CHANGED`. */
  readAt(into: Uint8Array, offset: number): Promise<void>;
  close(): Promise<void>;
}
