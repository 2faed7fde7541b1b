import { readdir, realpath, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { KEPT_PART_MS } from './kept-runs.js';
import { hostTag, isRunning, processStart } from './process-id.js';

/**
 * Names of unfinished outputs. They lie beside the target, so that the last step is a rename inside
 * one file system:
 *
 *     .model.bin.<host>-<pid>-<random>.orbweaver-part                 removed when its process is gone
 *     .model.bin.<content>-<random>.<host>-<pid>-<start>.orbweaver-part  a later run may go on with it
 *     .model.bin.<content>-<random>.orbweaver-part                    the same, and nobody is at it
 *     .model.bin.<content>-<random>.orbweaver-ledger                  what is written in that part
 *
 * The random part makes two writers of one target strangers to each other: no lock is needed, the
 * last rename wins. Host, pid and start say who left a file behind when a process was killed. Going on
 * with one is a rename to a name of one's own, which only one of two processes can do.
 */

const PART_SUFFIX = '.orbweaver-part';
const LEDGER_SUFFIX = '.orbweaver-ledger';
/** A ledger that is written anew, until it takes the place of the old one. */
const DRAFT_SUFFIX = '.orbweaver-ledger-new';

/** A part of another machine (shared folders) is a leftover when nothing touched it for a day. */
const FOREIGN_LEFTOVER_MS: number = 24 * 60 * 60 * 1000;

/** A ledger whose part is not in the listing: its part may have been renamed meanwhile. */
const LONE_LEDGER_MS: number = 60 * 60 * 1000;

/** Bytes of the target's name that are kept: names end at 255 bytes, and the rest takes up to 90. */
const KEPT_NAME_BYTES = 160;

const PLAIN = /^([0-9a-z]+)-([0-9]+)-[0-9a-f]{8}$/;
const KEPT = /^([0-9a-f]{16})-([0-9a-f]{8})(?:\.([0-9a-z]+)-([0-9]+)-([0-9]+))?$/;

/** A name for an unfinished `path`, used by nobody else. */
export function partPath(path: string): string {
  const owner = `${hostTag()}-${process.pid}-${randomTag()}`;
  return join(dirname(path), `${partPrefix(path)}${owner}${PART_SUFFIX}`);
}

/** Names of a part that a later run may go on with. */
export interface KeptPartNames {
  /** While this process writes to it. */
  readonly part: string;
  /** When it is left for later. */
  readonly freePart: string;
  readonly ledger: string;
  readonly draft: string;
}

/** @param content 16 hexadecimal digits that stand for what the file will hold */
export function keptPartNames(
  path: string,
  content: string,
  id: string = randomTag(),
): KeptPartNames {
  const base = join(dirname(path), `${partPrefix(path)}${content}-${id}`);
  const owner = `${hostTag()}-${process.pid}-${processStart(process.pid) ?? '0'}`;
  return {
    part: `${base}.${owner}${PART_SUFFIX}`,
    freePart: `${base}${PART_SUFFIX}`,
    ledger: `${base}${LEDGER_SUFFIX}`,
    draft: `${base}${DRAFT_SUFFIX}`,
  };
}

/** A part that an earlier run left. */
export interface LeftPart {
  readonly path: string;
  /** Of {@link keptPartNames}. */
  readonly id: string;
  /** What it holds a beginning of, as there. */
  readonly content: string;
}

/**
 * Lists the folder of `path` once: removes what killed processes left of `path`, and parts of
 * anything that nobody touched for a week; finds those that a later run may go on with. Never throws: a
 * folder that cannot be listed is the next step's error to report.
 *
 * @param options `removes`: false only looks
 */
export async function sweepParts(
  path: string,
  nowMs: number = Date.now(),
  { removes = true }: { readonly removes?: boolean } = {},
): Promise<readonly LeftPart[]> {
  const drop = async (file: string): Promise<void> => {
    if (removes) await remove(file);
  };
  const folder = dirname(path);
  const prefix = partPrefix(path);
  const names = await readdir(folder).catch((): string[] => []);
  const parts = names.filter((name) => name.endsWith(PART_SUFFIX));
  const found: LeftPart[] = [];
  for (const name of parts) {
    const isOurs = name.startsWith(prefix);
    const tag = isOurs ? name.slice(prefix.length, -PART_SUFFIX.length) : tagOf(name);
    const kept = KEPT.exec(tag);
    const file = join(folder, name);
    if (kept === null) {
      if (isOurs && (await isLeftover(file, tag, nowMs))) await drop(file);
      continue;
    }
    if (isBusy(kept)) continue;
    const [, of, id] = kept as unknown as [string, string, string];
    const base = name.slice(0, name.lastIndexOf(`${of}-${id}`)).concat(`${of}-${id}`);
    const isOld = (await ageOf(file, nowMs)) > KEPT_PART_MS;
    // Without a ledger nobody can tell what is written in it.
    const isUseless = isOurs && isHere(kept) && !names.includes(base + LEDGER_SUFFIX);
    if (isOld || isUseless) {
      await drop(file);
      for (const suffix of [LEDGER_SUFFIX, DRAFT_SUFFIX]) await drop(join(folder, base + suffix));
    } else if (isOurs && isHere(kept)) found.push({ path: file, id, content: of });
  }
  for (const name of names) {
    const suffix = [LEDGER_SUFFIX, DRAFT_SUFFIX].find((each) => name.endsWith(each));
    if (suffix === undefined) continue;
    const base = name.slice(0, -suffix.length);
    if (parts.some((part) => part.startsWith(`${base}.`))) continue;
    const file = join(folder, name);
    if ((await ageOf(file, nowMs)) > LONE_LEDGER_MS) await drop(file);
  }
  return found;
}

/** Whether any run has left something in a folder, or is at work there. False where there is no folder. */
export async function hasParts(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch((): string[] => []);
  return names.some((name) => /\.orbweaver-(?:part|ledger|ledger-new)$/.test(name));
}

/** Removes what interrupted runs left of `path` for this content, unless a process is at it. */
export async function removeKeptParts(path: string, content: string): Promise<void> {
  const target = await realpath(path).catch(() => path);
  for (const { path: part, id, content: of } of await sweepParts(target)) {
    if (of !== content.slice(0, 16)) continue;
    const { ledger, draft } = keptPartNames(target, of, id);
    for (const each of [part, ledger, draft]) await remove(each);
  }
}

/** What stands behind the name of the target, for parts of any. */
function tagOf(name: string): string {
  const stem = name.slice(0, -PART_SUFFIX.length);
  return /[0-9a-f]{16}-[0-9a-f]{8}(?:\.[0-9a-z]+-[0-9]+-[0-9]+)?$/.exec(stem)?.[0] ?? '';
}

/** A process that still runs is at it, here or, as far as one can tell, elsewhere. */
function isBusy([, , , host, pid, start]: RegExpExecArray): boolean {
  return host === hostTag() && isRunning(Number(pid), start);
}

/** It belongs to nobody, or to a process of this machine. */
function isHere([, , , host]: RegExpExecArray): boolean {
  return host === undefined || host === hostTag();
}

async function isLeftover(part: string, owner: string, nowMs: number): Promise<boolean> {
  const match = PLAIN.exec(owner);
  if (match === null) return false;
  if (match[1] === hostTag()) return !isRunning(Number(match[2]));
  return (await ageOf(part, nowMs)) > FOREIGN_LEFTOVER_MS;
}

/** Since the last change; 0 when it is gone. */
async function ageOf(path: string, nowMs: number): Promise<number> {
  const stats = await stat(path).catch(() => null);
  return stats === null ? 0 : nowMs - stats.mtimeMs;
}

async function remove(path: string): Promise<void> {
  await unlink(path).catch(() => {});
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

function randomTag(): string {
  return crypto.randomUUID().slice(0, 8);
}
