import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const build = join(root, 'node_modules', '.vitest', `sandbox-${process.pid}`);

/** Compiles the servers of the sandbox as a build does: a process of its own that can be killed has to run them. */
export function compileSandbox(): void {
  mkdirSync(build, { recursive: true });
  const configuration = {
    extends: relative(build, join(root, 'tsconfig.json')),
    compilerOptions: { noEmit: false, rootDir: root, outDir: build, sourceMap: false },
    include: [],
    files: ['embedded-postgres', 'temporal-server'].map((name) => join(root, 'src', 'sandbox', `${name}.ts`)),
  };
  writeFileSync(join(build, 'tsconfig.json'), JSON.stringify(configuration));
  const compiler = join(
    dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
    'bin',
    'tsc',
  );
  execFileSync(process.execPath, [compiler, '-p', join(build, 'tsconfig.json')]);
}

export function removeCompiledSandbox(): void {
  rmSync(build, { recursive: true, force: true });
}

const PROGRAM = `
const [sandbox, options] = process.argv.slice(1);
const { startEmbeddedPostgres } = await import(sandbox + '/embedded-postgres.js');
const { startTemporalServer } = await import(sandbox + '/temporal-server.js');
const { postgres, temporal } = JSON.parse(options);
const servers = await Promise.all([startEmbeddedPostgres(postgres), startTemporalServer(temporal)]);
process.on('SIGINT', () => console.log('interrupted'));
process.stdin.on('data', async (command) => {
  if (String(command).trim() === 'exit') process.exit(3);
  await Promise.all(servers.map((server) => server.stop()));
  process.exit(0);
});
console.log(JSON.stringify(servers.map(({ pid }) => pid)));
`;

export interface SandboxProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly postgresPid: number;
  readonly temporalPid: number;
  /** The next line that it prints. */
  nextLine(): Promise<string>;
  /** Every process that it started, and what those started. */
  descendants(): number[];
}

function childrenOf(pid: number): number[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  const rows = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  return rows
    .filter(([, parent]) => parent === pid)
    .flatMap(([child]) => (child === undefined ? [] : [child]));
}

function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

/** Starts both servers in a process of their own, which leads a process group as under a terminal. */
export async function startSandboxProcess(options: {
  readonly postgres: { readonly directory: string; readonly port: number };
  readonly temporal: { readonly binary: string; readonly databaseFile: string; readonly port: number };
}): Promise<SandboxProcess> {
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', PROGRAM, join(build, 'src', 'sandbox'), JSON.stringify(options)],
    { cwd: root, detached: true, stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error('The sandbox process printed nothing more');
    return value as string;
  };
  const [postgresPid, temporalPid] = JSON.parse(await nextLine()) as [number, number];
  const pid = child.pid as number;
  return { child, pid, postgresPid, temporalPid, nextLine, descendants: () => descendantsOf(pid) };
}

/** Writes a command to the process and resolves with its exit code. */
export async function finish({ child }: SandboxProcess, command: 'stop' | 'exit'): Promise<number | null> {
  const exited = once(child, 'exit');
  child.stdin?.write(`${command}\n`);
  const [code] = (await exited) as [number | null];
  return code;
}
