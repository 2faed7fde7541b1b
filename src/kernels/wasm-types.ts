/**
 * The few WebAssembly types that this package uses, declared here because `lib` has no `dom`. They
 * are plain exported interfaces and not a global `WebAssembly` namespace: a global one would end up
 * in our declarations and collide with the `dom` library of those who have it.
 */

/** A `WebAssembly.Memory`; a real one fits this shape. */
export interface WasmMemory {
  /** A `SharedArrayBuffer` when the memory is shared; replaced by another object when it grows. */
  readonly buffer: ArrayBufferLike;
  /** Adds pages of 64 KiB; returns the old number of pages. */
  grow(pages: number): number;
}

/** Limits are in pages of 64 KiB. */
export interface WasmMemoryDescriptor {
  readonly initial: number;
  readonly maximum?: number;
  readonly shared?: boolean;
}

/** A compiled `WebAssembly.Module`: opaque, can be posted to other threads. */
export interface WasmModule {
  readonly [Symbol.toStringTag]?: string;
}

/** A `WebAssembly.Instance`. */
export interface WasmInstance {
  readonly exports: Readonly<Record<string, unknown>>;
}

/** The part of the global `WebAssembly` object that is used here. */
export interface WasmApi {
  readonly Memory: new (descriptor: WasmMemoryDescriptor) => WasmMemory;
  validate(bytes: Uint8Array): boolean;
  compile(bytes: Uint8Array): Promise<WasmModule>;
  instantiate(
    module: WasmModule,
    imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  ): Promise<WasmInstance>;
}

/** The engine's WebAssembly, or null where there is none (or policy took it away). */
export function wasmApi(): WasmApi | null {
  const api = (globalThis as { WebAssembly?: unknown }).WebAssembly;
  return typeof api === 'object' && api !== null ? (api as WasmApi) : null;
}
