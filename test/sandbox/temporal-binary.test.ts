import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  cachedTemporalPath,
  obtainTemporalBinary,
  temporalVersion,
} from '../../src/sandbox/temporal-binary.js';
import { buildTemporal } from '../../src/sandbox/temporal-build.js';
import { eventually } from './waiting.js';

/** An environment in which the SDK's download fails at once, with or without a network. */
const OFFLINE = { HTTPS_PROXY: 'http://127.0.0.1:1', https_proxy: 'http://127.0.0.1:1' };

describe('obtaining the Temporal server', () => {
  let real: string;
  let directory: string;
  let cache: string;
  let lines: string[];
  const log = (line: string): void => void lines.push(line);

  /** A directory for PATH with one program in it. */
  const program = (name: string, script: string): string => {
    const bin = join(directory, `bin-${name}`);
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
    return bin;
  };
  /** Stands in for Go where the point is what we do around it: takes a second, and installs a real server. */
  const quickGo = (): string =>
    program('go', `/bin/sleep 1; echo "$@" >> '${directory}/builds'; /bin/cp '${real}' "$GOBIN/temporal"`);

  beforeAll(async () => {
    real = await obtainTemporalBinary({ log: console.log });
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'stripe-sync-test-'));
    cache = join(directory, 'stripe-sync');
    lines = [];
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('takes the one on PATH, and passes over another program of that name', async () => {
    const bin = join(directory, 'bin');
    mkdirSync(bin);
    symlinkSync(real, join(bin, 'temporal'));
    expect(await obtainTemporalBinary({ log, environment: { PATH: bin } })).toBe(join(bin, 'temporal'));

    const cached = cachedTemporalPath(cache);
    mkdirSync(cache);
    symlinkSync(real, cached);
    const environment = { PATH: program('temporal', 'echo 7 o clock'), XDG_CACHE_HOME: directory };
    expect(await obtainTemporalBinary({ log, environment })).toBe(cached);
    expect(lines).toEqual([expect.stringContaining('is not a Temporal CLI that runs here')]);
  });

  it('takes the one in the cache without a word', async () => {
    mkdirSync(cache);
    symlinkSync(real, cachedTemporalPath(cache));
    expect(await obtainTemporalBinary({ log, environment: { PATH: '', XDG_CACHE_HOME: directory } })).toBe(
      cachedTemporalPath(cache),
    );
    expect(lines).toEqual([]);
  });

  it.each([
    ['empty', ''],
    ['cut', '\u007fELF'],
  ])('replaces a cached file that is %s', async (_, content) => {
    mkdirSync(cache);
    writeFileSync(cachedTemporalPath(cache), content, { mode: 0o755 });
    const environment = { ...OFFLINE, PATH: quickGo() };
    const binary = await obtainTemporalBinary({ cacheDirectory: cache, log, environment });
    expect(binary).toBe(cachedTemporalPath(cache));
    expect(await temporalVersion(binary)).toMatch(/^temporal version /);
    expect(lines[0]).toContain('does not run: getting it again');
    expect(readdirSync(cache)).toEqual([binary.slice(cache.length + 1)]);
  });

  it('names the ways out when there is none left, after saying why each failed', async () => {
    const failed = obtainTemporalBinary({
      cacheDirectory: cache,
      log,
      environment: { ...OFFLINE, PATH: directory },
    });
    await expect(failed).rejects.toThrow(/Install the Temporal CLI.*set TEMPORAL_ADDRESS.*install Go/);
    expect(lines).toEqual([
      expect.stringMatching(/^Downloading the Temporal server 1\.5\.1/),
      expect.stringMatching(/could not be downloaded \(.*(connect|Connect|proxy).*\)$/),
      expect.stringContaining('there is no Go on PATH'),
    ]);
    expect(readdirSync(cache)).toEqual([]);
  });

  it('passes on what Go said when the build fails', async () => {
    const environment = { ...OFFLINE, PATH: program('go', 'echo "go: no such module" >&2; exit 1') };
    await expect(obtainTemporalBinary({ cacheDirectory: cache, log, environment })).rejects.toThrow(
      'Install the Temporal CLI',
    );
    expect(lines.at(-1)).toBe(
      'The Temporal server could not be built with Go (exit code 1: go: no such module)',
    );
  });

  it('is built once when two start at once', async () => {
    const options = { cacheDirectory: cache, log, environment: { ...OFFLINE, PATH: quickGo() } };
    const both = await Promise.all([obtainTemporalBinary(options), obtainTemporalBinary(options)]);
    expect(both).toEqual([cachedTemporalPath(cache), cachedTemporalPath(cache)]);
    expect(lines.filter((line) => line.startsWith('Waiting for process'))).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith('Built the Temporal server'))).toHaveLength(1);
  });

  it('ends the build and cleans up when it is told to stop', async () => {
    const bin = program('go', `echo $$ > '${directory}/pid'; exec /bin/sleep 600`);
    const stop = new AbortController();
    const failed = obtainTemporalBinary({
      cacheDirectory: cache,
      log,
      environment: { ...OFFLINE, PATH: bin },
      signal: stop.signal,
    });
    const outcome = expect(failed).rejects.toThrow('enough');
    await eventually(
      'the build runs',
      () => existsSync(join(directory, 'pid')) && statSync(join(directory, 'pid')).size > 0,
    );
    const pid = spawnSync('cat', [join(directory, 'pid')], { encoding: 'utf8' }).stdout.trim();
    stop.abort(new Error('enough'));
    await outcome;
    expect(spawnSync('ps', ['-p', pid]).status).toBe(1);
    expect(readdirSync(cache)).toEqual([]);
  });

  // Seconds where Go has compiled the server before; about six minutes otherwise, so only on demand.
  it.runIf(process.env.TEST_GO_BUILD === '1')(
    'builds a server that runs with Go',
    { timeout: 900_000 },
    async () => {
      const signal = new AbortController().signal;
      const options = {
        go: 'go',
        directory,
        version: '1.5.1',
        environment: process.env,
        signal,
        onPackage: log,
      };
      const result = await buildTemporal(options);
      expect(result).toEqual({ file: join(directory, 'temporal') });
      expect(await temporalVersion(join(directory, 'temporal'))).toMatch(/^temporal version /);
    },
  );
});
