import { spawn } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { elapsed, showProgress } from './progress.js';
import { tryClaim } from './server-claim.js';
import { buildTemporal } from './temporal-build.js';
import { downloadTemporal } from './temporal-download.js';

/** The CLI's version, for the download and the build alike. */
const VERSION = '1.5.1';
const SUFFIX = process.platform === 'win32' ? '.exe' : '';

export interface ObtainTemporalOptions {
  /** Default: `stripe-sync` under `$XDG_CACHE_HOME` or `~/.cache`. */
  readonly cacheDirectory?: string;
  readonly log: (line: string) => void;
  /** Gets a live line while something takes long, if it is a terminal; elsewhere `log` gets a line every 15 s. */
  readonly terminal?: { readonly isTTY?: boolean; write(text: string): unknown };
  /** Ends a download or a build that is under way. */
  readonly signal?: AbortSignal;
  /** Where PATH, HOME and the like are read. Default: this process's. */
  readonly environment?: NodeJS.ProcessEnv;
}

interface Obtaining {
  readonly cache: string;
  readonly target: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  readonly terminal: ObtainTemporalOptions['terminal'];
}

/** The cached program: named after its version and platform, for a home directory can be shared by machines. */
export function cachedTemporalPath(cacheDirectory: string): string {
  return join(cacheDirectory, `temporal-${VERSION}-${process.platform}-${process.arch}${SUFFIX}`);
}

function defaultCacheDirectory(environment: NodeJS.ProcessEnv): string {
  const base = environment.XDG_CACHE_HOME;
  // The XDG specification has relative paths ignored.
  if (base?.startsWith('/')) return join(base, 'stripe-sync');
  return join(environment.HOME ?? homedir(), '.cache', 'stripe-sync');
}

function onPath(name: string, environment: NodeJS.ProcessEnv): string | undefined {
  for (const directory of (environment.PATH ?? '').split(delimiter)) {
    const file = resolve(directory, `${name}${SUFFIX}`);
    if (directory === '' || statSync(file, { throwIfNoEntry: false })?.isFile() !== true) continue;
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // A file of that name that we may not run hides no later one.
    }
  }
  return undefined;
}

/** What `FILE --version` prints when FILE is Temporal's CLI; undefined when it is not, or does not run. */
export function temporalVersion(file: string): Promise<string | undefined> {
  return new Promise((done) => {
    const child = spawn(file, ['--version'], { stdio: ['ignore', 'pipe', 'ignore'], timeout: 20_000 });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
    child.once('error', () => done(undefined));
    child.once('close', (code) =>
      done(code === 0 && /^temporal version /.test(output) ? output.trim() : undefined),
    );
  });
}

/** The cached program, when there is one that runs: a full disk or a cut copy can have left one that does not. */
async function fromCache({ target }: Obtaining): Promise<string | undefined> {
  return (await temporalVersion(target)) === undefined ? undefined : target;
}

/** Moves a new program into the cache, whole: who looks there finds all of it or nothing. */
async function keep(file: string, { target }: Obtaining): Promise<string | undefined> {
  if ((await temporalVersion(file)) === undefined) return undefined;
  renameSync(file, target);
  return target;
}

async function byDownload(directory: string, obtaining: Obtaining): Promise<string | undefined> {
  const { environment, signal, log, terminal } = obtaining;
  let bytes = 0;
  const progress = showProgress({
    describe: (time) => `Downloading the Temporal server ${VERSION}: ${Math.round(bytes / 1e6)} MB, ${time}`,
    log,
    terminal,
  });
  const onBytes = (now: number): void => {
    bytes = now;
  };
  const result = await downloadTemporal({
    directory,
    version: VERSION,
    environment,
    signal,
    onBytes,
  }).finally(() => progress.done());
  const kept = 'file' in result ? await keep(result.file, obtaining) : undefined;
  const problem = 'problem' in result ? result.problem : 'what arrived does not run here';
  if (kept === undefined) log(`The Temporal server could not be downloaded (${problem})`);
  return kept;
}

async function byBuild(directory: string, obtaining: Obtaining): Promise<string | undefined> {
  const { environment, signal, log, terminal } = obtaining;
  const go = onPath('go', environment);
  if (go === undefined) {
    log('The Temporal server cannot be built either: there is no Go on PATH');
    return undefined;
  }
  const startedAt = Date.now();
  let packages = 0;
  const progress = showProgress({
    describe: (time) =>
      `Building the Temporal server ${VERSION} with Go, once (about 6 minutes on 2 cores): ${time}, ${packages} of about 1,300 packages`,
    log,
    terminal,
  });
  const onPackage = (): void => {
    packages += 1;
  };
  const result = await buildTemporal({
    go,
    directory,
    version: VERSION,
    environment,
    signal,
    onPackage,
  }).finally(() => progress.done());
  const kept = 'file' in result ? await keep(result.file, obtaining) : undefined;
  const problem = 'problem' in result ? result.problem : 'what was built does not run here';
  if (kept === undefined) log(`The Temporal server could not be built with Go (${problem})`);
  else log(`Built the Temporal server in ${elapsed(Date.now() - startedAt)}: ${kept}`);
  return kept;
}

/** The ways that fill the cache, by one process at a time: a second one waits, and finds what the first made. */
async function fillCache(obtaining: Obtaining): Promise<string | undefined> {
  const { cache, target, signal, log } = obtaining;
  for (let waiting = false; ; waiting = true) {
    const result = await tryClaim(`${target}.claim`);
    if ('owner' in result) {
      if (!waiting)
        log(`Waiting for process ${result.owner.pid}, which is getting the Temporal server already`);
      await sleep(500, undefined, { signal });
      continue;
    }
    try {
      const found = await fromCache(obtaining);
      if (found !== undefined) return found;
      if (existsSync(target)) log(`${target} does not run: getting it again`);
      for (const name of readdirSync(cache)) {
        if (name.startsWith('partial-')) rmSync(join(cache, name), { recursive: true, force: true });
      }
      for (const way of [byDownload, byBuild]) {
        const directory = mkdtempSync(join(cache, 'partial-'));
        try {
          const obtained = await way(directory, obtaining);
          if (obtained !== undefined) return obtained;
        } finally {
          rmSync(directory, { recursive: true, force: true });
        }
      }
      return undefined;
    } finally {
      result.claim.release();
    }
  }
}

/**
 * The absolute path of a Temporal CLI that runs here: from PATH, from the cache, by the SDK's download, or built
 * with Go (design.md, section 7; a `TEMPORAL_ADDRESS` is the caller's matter). The last two fill the cache.
 * @throws when no way is left, with the ways out; the signal's reason when it aborts.
 */
export async function obtainTemporalBinary(options: ObtainTemporalOptions): Promise<string> {
  const { log, environment = process.env, signal = new AbortController().signal } = options;
  signal.throwIfAborted();
  const installed = onPath('temporal', environment);
  if (installed !== undefined) {
    if ((await temporalVersion(installed)) !== undefined) return installed;
    log(`${installed} is not a Temporal CLI that runs here: looking further`);
  }
  const cache = resolve(options.cacheDirectory ?? defaultCacheDirectory(environment));
  mkdirSync(cache, { recursive: true });
  const obtaining = {
    cache,
    target: cachedTemporalPath(cache),
    environment,
    signal,
    log,
    terminal: options.terminal,
  };
  const binary = (await fromCache(obtaining)) ?? (await fillCache(obtaining));
  if (binary !== undefined) return binary;
  throw new Error(
    'There is no Temporal server to be had: not on PATH, not in the cache, not by download, not by a build with Go. ' +
      'Install the Temporal CLI (https://docs.temporal.io/cli), or set TEMPORAL_ADDRESS to a server that runs, ' +
      'or install Go (https://go.dev/dl) and start again.',
  );
}
