import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { SEVEN_ZIP_HEAD_BYTES, sevenZipFrame } from '../archive/index.js';
import type { Sink } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { fileSink, makeFolder, writeFileAtomic } from '../io/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { toSource, type UploadInput } from './input.js';

/** How a file is cut: into slices of itself, or of a 7z archive that stores it as it is. */
export type VolumeFormat = 'slices' | '7z';

export interface WriteVolumesOptions {
  /** Bytes of each volume but the last, at least 64. */
  readonly volumeBytes: number;
  /** Made when it is missing. */
  readonly folder: string;
  /** @default 'slices' */
  readonly format?: VolumeFormat | undefined;
  /** What the volumes are named after. @default the last part of the path */
  readonly name?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One volume. */
export interface Volume {
  readonly name: string;
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** `<name>.volumes.json`: what the volumes are and what they make. */
export interface VolumeManifest {
  readonly format: VolumeFormat;
  /** The file and its digest, without any archive around it. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly volumeBytes: number;
  readonly volumes: readonly Volume[];
}

/** Smallest `volumeBytes` that is taken. */
export const MIN_VOLUME_BYTES = 64;
/** The number of a volume has three digits, and more when they do not do. */
const MAX_VOLUMES = 999_999;
const RULES: OptionRules<WriteVolumesOptions> = {
  volumeBytes: is.required(is.integer(MIN_VOLUME_BYTES)),
  folder: is.required(is.text),
  format: is.oneOf(['slices', '7z']),
  name: is.text,
  signal: is.signal,
};
const READ_BYTES: number = 1024 * 1024;

/**
 * Cuts an input into volumes: `<name>.001`, `.002`, … whose bytes one after another are the file, or
 * `<name>.7z.001`, …, which 7-Zip opens as they lie there. A manifest with all sizes and digests is
 * written last. One pass, in bounded memory.
 *
 * @throws OrbweaverError `INPUT_*`, `OUTPUT_UNWRITABLE`, `DISK_FULL`, `ABORTED`, `LIMIT_EXCEEDED` for
 * more than 999,999 volumes; RangeError for a volume size below 64
 * @example
 * await writeVolumes('disk.img', { volumeBytes: 100 * 1024 ** 2, folder: 'out', format: '7z' });
 */
export async function writeVolumes(
  input: UploadInput,
  options: WriteVolumesOptions,
): Promise<VolumeManifest> {
  checkOptions('writeVolumes', options, RULES);
  const { volumeBytes, folder, format = 'slices', signal } = options;
  const source = await toSource(input);
  const name = options.name ?? basename(source.name);
  await makeFolder(folder);
  const writer = createVolumeWriter({
    folder,
    volumeBytes,
    stem: format === '7z' ? `${name}.7z` : name,
    patchesHead: format === '7z',
  });
  const whole = createHash('sha256');
  let crc = 0;
  let sizeBytes = 0;
  try {
    if (format === '7z') await writer.write(new Uint8Array(SEVEN_ZIP_HEAD_BYTES));
    const reader = await source.open(signal);
    try {
      const buffer = new Uint8Array(READ_BYTES);
      for (;;) {
        if (signal?.aborted) throw new OrbweaverError('ABORTED', 'the cutting was cancelled');
        const piece = buffer.subarray(0, await reader.read(buffer));
        if (piece.length === 0) break;
        whole.update(piece);
        if (format === '7z') crc = crc32(piece, crc);
        sizeBytes += piece.length;
        await writer.write(piece);
      }
    } finally {
      await reader.close();
    }
    const frame = format === '7z' ? sevenZipFrame({ name, sizeBytes, crc }) : null;
    if (frame !== null) await writer.write(frame.tail);
    const volumes = await writer.finish(frame?.head ?? null);
    const sha256 = whole.digest('hex');
    const manifest = { format, name, sizeBytes, sha256, volumeBytes, volumes };
    const text = `${JSON.stringify(manifest, null, 2)}\n`;
    await writeFileAtomic(join(folder, `${name}.volumes.json`), new TextEncoder().encode(text));
    return manifest;
  } catch (error) {
    await writer.abort(error);
    throw error;
  }
}

interface VolumeWriter {
  write(bytes: Uint8Array): Promise<void>;
  /** @param head what the first bytes of the first volume become */
  finish(head: Uint8Array | null): Promise<readonly Volume[]>;
  abort(reason: unknown): Promise<void>;
}

function createVolumeWriter(options: {
  readonly folder: string;
  readonly stem: string;
  readonly volumeBytes: number;
  readonly patchesHead: boolean;
}): VolumeWriter {
  const { folder, stem, volumeBytes, patchesHead } = options;
  const volumes: Volume[] = [];
  /** The first one stays open for as long as its head is not known. */
  let first: { readonly sink: Sink; readonly name: string; readonly sizeBytes: number } | null =
    null;
  let sink: Sink | null = null;
  let hash = createHash('sha256');
  let filled = 0;
  let count = 0;

  const nameOf = (number: number): string => `${stem}.${String(number).padStart(3, '0')}`;
  const open = (): Sink => {
    if (count === MAX_VOLUMES) {
      throw new OrbweaverError(
        'LIMIT_EXCEEDED',
        `expected at most ${MAX_VOLUMES} volumes, got more`,
      );
    }
    filled = 0;
    hash = createHash('sha256');
    return fileSink(join(folder, nameOf(++count)), { removeLeftovers: count === 1 });
  };
  const close = async (): Promise<void> => {
    if (sink === null) return;
    const done = { name: nameOf(count), sizeBytes: filled };
    if (patchesHead && count === 1) first = { sink, ...done };
    else {
      await sink.commit(filled);
      volumes.push({ ...done, sha256: hash.digest('hex') });
    }
    sink = null;
  };

  return {
    async write(bytes) {
      for (let from = 0; from < bytes.length; ) {
        sink ??= open();
        const piece = bytes.subarray(from, from + volumeBytes - filled);
        await sink.write(piece, filled);
        hash.update(piece);
        filled += piece.length;
        from += piece.length;
        if (filled === volumeBytes) await close();
      }
    },
    async finish(head) {
      if (count === 0) {
        sink = open();
        await sink.write(new Uint8Array(0), 0);
      }
      await close();
      if (first !== null) {
        const { sink: held, name, sizeBytes } = first;
        if (head !== null) await held.write(head, 0);
        await held.commit(sizeBytes);
        volumes.unshift({ name, sizeBytes, sha256: await sha256Of(join(folder, name)) });
        first = null;
      }
      return volumes;
    },
    async abort(reason) {
      await sink?.abort(reason);
      await first?.sink.abort(reason);
      // Volumes without a manifest are of no use to anybody.
      for (const { name } of volumes) await unlink(join(folder, name)).catch(() => undefined);
    },
  };
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece as Uint8Array);
  return hash.digest('hex');
}
