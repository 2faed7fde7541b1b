import { readlinkSync } from 'node:fs';
import { readdir, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

/**
 * Names of unfinished outputs. They lie beside the target, so that the last step is a rename inside
 * one file system:
 *
 *     .model.bin.<host>-<pid>-<random>.orbweaver-part
 *
 * The random part makes two writers of one target strangers to each other: no lock is needed, the
 * last rename wins. Host and pid say who left a file behind when a process was killed.
 */

const PART_SUFFIX = '.orbweaver-part';

/** A part of another machine (shared folders) is a leftover when nothing touched it for a day. */
const FOREIGN_LEFTOVER_MS: number = 24 * 60 * 60 * 1000;

/** Bytes of the target's name that are kept: names end at 255 bytes, and the rest takes up to 60. */
const KEPT_NAME_BYTES = 160;

/** A name for an unfinished `path`, used by nobody else. */
export function partPath(path: string): string {
  const random = crypto.randomUUID().slice(0, 8);
  const owner = `${hostTag()}-${process.pid}-${random}`;
  return join(dirname(path), `${partPrefix(path)}${owner}${PART_SUFFIX}`);
}

/**
 * Removes what killed processes left of `path`. Never throws: a folder that cannot be listed is
 * the next step's error to report.
 */
export async function removeLeftovers(path: string, nowMs: number = Date.now()): Promise<void> {
  const folder = dirname(path);
  const prefix = partPrefix(path);
  const names = await readdir(folder).catch((): string[] => []);
  for (const name of names) {
    if (!name.startsWith(prefix) || !name.endsWith(PART_SUFFIX)) continue;
    const owner = name.slice(prefix.length, -PART_SUFFIX.length);
    const part = join(folder, name);
    if (await isLeftover(part, owner, nowMs)) await unlink(part).catch(() => {});
  }
}

async function isLeftover(part: string, owner: string, nowMs: number): Promise<boolean> {
  const match = /^([0-9a-z]+)-([0-9]+)-[0-9a-f]{8}$/.exec(owner);
  if (match === null) return false;
  if (match[1] === hostTag()) return !isRunning(Number(match[2]));
  const stats = await stat(part).catch(() => null);
  return stats !== null && nowMs - stats.mtimeMs > FOREIGN_LEFTOVER_MS;
}

function partPrefix(path: string): string {
  let kept = '';
  let bytes = 0;
  for (const char of basename(path)) {
    bytes += Buffer.byteLength(char);
    if (bytes > KEPT_NAME_BYTES) break;
    kept += char;
  }
  return `.${kept}.`;
}

function isRunning(pid: number): boolean {
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, as somebody else.
    return error instanceof Error && 'code' in error && error.code !== 'ESRCH';
  }
}

/**
 * Where a pid means the same process: the host and, in containers that share a folder, the pid
 * namespace. FNV-1a, because it need only be short and differ.
 */
function hostTag(): string {
  let namespace = '';
  try {
    namespace = readlinkSync('/proc/self/ns/pid');
  } catch {
    // Not Linux: the host name has to do.
  }
  let hash = 0x811c9dc5;
  for (const char of `${hostname()} ${namespace}`) {
    hash = Math.imul(hash ^ (char.codePointAt(0) as number), 0x01000193) >>> 0;
  }
  return hash.toString(36);
}
