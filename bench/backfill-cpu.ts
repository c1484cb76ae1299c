/** Where the processor's time goes, process by process: on a machine that does other things too, time alone misleads. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Linux counts processor time in hundredths of a second, whatever the kernel's own clock. */
const TICKS = 100;

interface ProcessTime {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  /** Its own, and that of its children that have ended, in seconds. */
  readonly seconds: number;
}

export type ProcessorTime = Readonly<Record<string, number>>;

/**
 * Seconds of processor time of the processes that this one started, directly or not, by their programs' names; `named`
 * gives some of them a name of their own. Empty where the system does not tell.
 */
export function processorTime(named: ReadonlyMap<number, string>): ProcessorTime {
  const all = processes();
  const found: Record<string, number> = {};
  const add = (parent: number) => {
    for (const child of all.filter((other) => other.parent === parent)) {
      const name = named.get(child.pid) ?? child.name;
      found[name] = (found[name] ?? 0) + child.seconds;
      add(child.pid);
    }
  };
  add(process.pid);
  return found;
}

export function spentSince(before: ProcessorTime, now: ProcessorTime): ProcessorTime {
  return Object.fromEntries(
    Object.entries(now).map(([name, seconds]) => [name, seconds - (before[name] ?? 0)] as const),
  );
}

function processes(): ProcessTime[] {
  if (!existsSync('/proc/self/stat')) return [];
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      // The name stands in parentheses, and may hold some itself.
      const end = stat.lastIndexOf(')');
      const fields = stat.slice(end + 2).split(' ');
      const ticks = fields.slice(11, 15).reduce((sum, count) => sum + Number(count), 0);
      const name = stat.slice(stat.indexOf('(') + 1, end);
      return [{ pid: Number(entry), parent: Number(fields[1]), name, seconds: ticks / TICKS }];
    } catch {
      return [];
    }
  });
}
