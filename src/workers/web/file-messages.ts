/** A file of the page's own storage, as it travels to a thread. */
export interface PageFileHandle {
  readonly name: string;
}

/** What is done with open files; `file` is a number that the page has given. */
export type FileTask =
  | { readonly kind: 'open'; readonly file: number; readonly handle: PageFileHandle }
  | {
      readonly kind: 'write';
      readonly file: number;
      readonly at: number;
      /** Written one after another. */
      readonly pieces: readonly Uint8Array[];
      /** Memory that travels there and back; empty: the pieces lie in shared memory. */
      readonly buffers: readonly Uint8Array[];
    }
  | {
      readonly kind: 'read';
      readonly file: number;
      readonly at: number;
      /** In shared memory, or a length: what is read travels back. */
      readonly into: Uint8Array | number;
    }
  /** Looks whether so many bytes can be had, and leaves the file as it is. */
  | { readonly kind: 'reserve'; readonly file: number; readonly sizeBytes: number }
  | { readonly kind: 'truncate'; readonly file: number; readonly sizeBytes: number }
  | { readonly kind: 'close'; readonly file: number };

/** An error of the browser. */
export interface FileFailure {
  readonly name: string;
  readonly message: string;
}

/** What a task came to. */
export interface FileReply {
  /** Of `open` the bytes of the file, of `read` those that were read; null: it failed. */
  readonly bytes: number | null;
  readonly failure: FileFailure | null;
  /** What travels back. */
  readonly buffers: readonly Uint8Array[];
}
