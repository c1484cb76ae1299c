import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runGuarded } from './guarded-command.js';

const MODULE = 'github.com/temporalio/cli/cmd/temporal';

/**
 * Builds Temporal's CLI with Go into `directory`. Returns the program, or what went wrong.
 * @param go the program `go`
 * @param version such as `1.5.1`
 * @param onPackage is told each package that is compiled; one that Go has in its cache is not
 * @throws the signal's reason when it aborts; the compilers have ended then.
 */
export async function buildTemporal(options: {
  readonly go: string;
  readonly directory: string;
  readonly version: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly onPackage: (name: string) => void;
}): Promise<{ file: string } | { problem: string }> {
  const { directory, environment } = options;
  const { problem } = await runGuarded({
    command: options.go,
    args: ['install', '-v', `${MODULE}@v${options.version}`],
    cwd: directory,
    // For this machine, whatever the user cross-compiles for: GOBIN and a foreign GOOS exclude each other.
    env: { ...environment, GOBIN: directory, GOOS: '', GOARCH: '', GOWORK: 'off' },
    signal: options.signal,
    onLine: (line) => {
      if (!line.startsWith('go: ')) options.onPackage(line);
    },
  });
  if (problem !== undefined) return { problem };
  const file = join(directory, process.platform === 'win32' ? 'temporal.exe' : 'temporal');
  return existsSync(file) ? { file } : { problem: 'it left no program' };
}
