import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * Who wrote a file that a killed process left behind: a process number says so only together with the
 * machine, and with the time at which that process began, because numbers come again.
 */

/** When a process began, in ticks of the system; null where that cannot be known. */
export function processStart(pid: number): string | null {
  return processFields(pid)?.[19] ?? null;
}

/** What Linux says of a process, from its state on. */
function processFields(pid: number): readonly string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the name in brackets, which may hold anything.
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/** @param start what {@link processStart} said of it then; `'0'`: it was not known */
export function isRunning(pid: number, start = '0'): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, as somebody else.
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
  }
  const fields = processFields(pid);
  // One that was killed keeps its number until its parent has looked, which may be never in a container.
  if (fields?.[0] === 'Z' || fields?.[0] === 'X') return false;
  if (start === '0') return true;
  const now = fields?.[19] ?? null;
  return now === null || now === start;
}

/**
 * Where a pid means the same process: the host and, in containers that share a folder, the pid
 * namespace. FNV-1a, because it need only be short and differ.
 */
export function hostTag(): string {
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
