import { statfs } from 'node:fs/promises';
import { isOrbweaverError, OrbweaverError } from '../../errors.js';

/** System error code of a failed file operation, or ''. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

/** System error code behind an error of a store, or of the error itself. */
function systemCodeBehind(error: unknown): string {
  const system = isOrbweaverError(error) ? error.fields['system'] : undefined;
  return typeof system === 'string' ? system : systemCode(error);
}

/** True when the system says that nothing can be written here. */
export function isReadOnly(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'EROFS'].includes(systemCodeBehind(error));
}

/**
 * True when `link` failed for want of hard links. File systems and sandboxes say so in many ways
 * (EPERM, EACCES, EXDEV, EINVAL, ENOSYS, ENOTSUP, EMLINK…), so it is the others that are listed: those
 * of a disk or a place that is at fault itself.
 */
export function lacksHardLinks(error: unknown): boolean {
  return !['EEXIST', 'ENOENT', 'ENOTDIR', 'ENOSPC', 'EDQUOT', 'EIO', 'EROFS', ''].includes(
    systemCode(error),
  );
}

/** Turns what node:fs throws into the two codes of a store. Errors that have a code pass. */
export function storageError(error: unknown, doing: string): unknown {
  if (isOrbweaverError(error) || error instanceof RangeError) return error;
  const code = systemCode(error);
  if (code === '') return error;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new OrbweaverError('DISK_FULL', `no space left for ${doing}`, { system: code }, error);
  }
  return new OrbweaverError('STORAGE_FAILED', `${doing} failed: ${code}`, { system: code }, error);
}

/** What `statfs` says, as far as anybody needs it. */
export interface DiskSpace {
  readonly freeBytes: number;
  /** Null where the file system makes them when they are needed. */
  readonly freeFiles: number | null;
}

/** Null when the system does not say. */
export async function diskSpace(folder: string): Promise<DiskSpace | null> {
  try {
    const { bavail, bsize, files, ffree } = await statfs(folder);
    return { freeBytes: bavail * bsize, freeFiles: files === 0 ? null : ffree };
  } catch {
    return null;
  }
}

/**
 * A full disk says ENOSPC for want of bytes and for want of inodes alike: the message tells which, so
 * that nobody looks for large files on a disk of small ones.
 */
export function explainFull(error: unknown, space: DiskSpace | null, doing: string): unknown {
  if (!isOrbweaverError(error) || error.code !== 'DISK_FULL' || space === null) return error;
  if (space.freeFiles !== 0 || space.freeBytes === 0) return error;
  const message = `no inodes left for ${doing}: the disk has ${space.freeBytes} bytes free, but cannot hold another file`;
  return new OrbweaverError('DISK_FULL', message, { ...error.fields, freeFiles: 0 }, error.cause);
}

/** Runs a file operation; what it throws becomes an error of a store. */
export async function guarded<Result>(
  doing: string,
  run: () => Promise<Result>,
  folder?: string,
): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    const known = storageError(error, doing);
    const isFull = isOrbweaverError(known) && known.code === 'DISK_FULL';
    throw isFull && folder !== undefined
      ? explainFull(known, await diskSpace(folder), doing)
      : known;
  }
}
