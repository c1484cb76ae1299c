/**
 * Every figure with one command.
 *
 *   npm run bench                    all of them, one after the other
 *   npm run bench -- NAME [options]  one of them
 *   npm run bench -- --list          what there is
 *   npm run bench -- --json          all of them, as one JSON array
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FIGURES, type FigureEntry } from './figures.js';

const programOf = ({ program }: FigureEntry) => fileURLToPath(new URL(`./${program}.js`, import.meta.url));
const present = FIGURES.filter((entry) => existsSync(programOf(entry)));
const [first, ...rest] = process.argv.slice(2);
const named = present.find(({ name }) => name === first);

if (first === '--list' || first === '--help') {
  const width = Math.max(...present.map(({ name }) => name.length));
  for (const { name, says, seconds } of present)
    process.stdout.write(`${name.padEnd(width)}  ${says} (about ${seconds} s)\n`);
} else if (named !== undefined) {
  process.exitCode = (await run(named, [...named.options, ...rest])).code;
} else if (first === undefined || first === '--json') {
  await runAll(first === '--json');
} else {
  process.stderr.write(
    `There is no figure ${first}. There are: ${present.map(({ name }) => name).join(', ')}.\n`,
  );
  process.exitCode = 2;
}

async function runAll(json: boolean): Promise<void> {
  const seconds = present.reduce((sum, entry) => sum + entry.seconds, 0);
  process.stderr.write(`${present.length} figures, about ${Math.ceil(seconds / 60)} minutes.\n`);
  const reports: unknown[] = [];
  for (const entry of present) {
    process.stderr.write(`\n${entry.name}\n`);
    const { code, output } = await run(entry, [...entry.options, ...(json ? ['--json'] : [])], json);
    if (code !== 0) process.exitCode = 1;
    else if (json) reports.push(JSON.parse(output));
  }
  if (json) process.stdout.write(`${JSON.stringify(reports, null, 2)}\n`);
}

/** In a process of its own, since a worker can be set up only once in one. An interrupt reaches it by the terminal. */
async function run(entry: FigureEntry, args: readonly string[], collect = false) {
  const stdout = collect ? 'pipe' : 'inherit';
  const child = spawn(process.execPath, [programOf(entry), ...args], {
    stdio: ['ignore', stdout, 'inherit'],
  });
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const pass = (signal: NodeJS.Signals) => void child.kill(signal);
  process.on('SIGINT', pass).on('SIGTERM', pass);
  const [code] = (await once(child, 'close')) as [number | null];
  process.off('SIGINT', pass).off('SIGTERM', pass);
  return { code: code ?? 1, output };
}
