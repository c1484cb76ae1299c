import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The package's version. Its package.json lies above the compiled code, and nearer above the sources. */
export function packageVersion(): string {
  for (const place of ['../../../package.json', '../../package.json']) {
    const path = fileURLToPath(new URL(place, import.meta.url));
    if (existsSync(path)) return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
  }
  return 'unknown';
}
