import { BASE } from './api.js';
import { session } from './session.js';

/**
 * The engine of this package in the page (`orbweaver/browser`): it cuts, hashes and compresses in web workers,
 * sends only chunks that the store does not have, and checks what it fetches. The gateway serves it beside
 * the page; it is loaded with the first transfer. This is the part of it that the page uses.
 */
export interface Engine {
  upload(
    inputs: readonly { readonly name: string; readonly data: Blob }[],
    options: {
      readonly sha256: boolean;
      readonly signal: AbortSignal;
      readonly onProgress: (progress: EngineUploadProgress) => void;
    },
  ): Promise<EngineUploadResult>;
  download(
    fileHash: string,
    options: {
      readonly to: FileSystemFileHandle;
      readonly signal: AbortSignal;
      readonly onProgress: (progress: { readonly writtenBytes: number }) => void;
    },
  ): Promise<unknown>;
  close(): Promise<void>;
}

export interface EngineUploadProgress {
  /** Bytes of files that the store has. */
  readonly doneBytes: number;
}

export interface EngineUploadResult {
  readonly files: readonly {
    readonly path: string;
    /** By this the store knows it. */
    readonly fileHash: string;
    readonly sha256: string | null;
    readonly sizeBytes: number;
  }[];
  readonly failed: readonly { readonly path: string; readonly message: string }[];
  /** Serialized bytes of what was sent. */
  readonly xorbBytes: number;
}

interface EngineModule {
  createClient(options: {
    readonly endpoint: string;
    readonly token: string;
    readonly grants: 'never';
  }): Promise<Engine>;
}

/** A client for one transfer; null: this browser has no workers of the kind, or no WebAssembly. */
export async function openEngine(): Promise<Engine | null> {
  try {
    const module = (await import(
      new URL('engine/browser.js', document.baseURI).href
    )) as EngineModule;
    return await module.createClient({
      endpoint: BASE.replace(/\/$/, ''),
      token: session.get()?.token ?? '',
      // Another host than this gateway is more than the page may talk to.
      grants: 'never',
    });
  } catch (error) {
    console.info('the engine does not run here:', error);
    return null;
  }
}
