import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Which rooms each room may import from, its own aside. Packages are not looked at, but for the first rule. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'src/domain': [],
  'src/stripe': ['src/domain'],
  'src/postgres': ['src/domain', 'src/stripe'],
  'src/config.ts': ['src/domain', 'src/stripe'],
  workflows: ['src/domain', 'activities (types)'],
  'src/handlers': ['src/domain', 'src/stripe', 'src/postgres'],
  activities: ['src/domain', 'src/stripe', 'src/postgres', 'src/handlers'],
  'src/temporal': ['src/domain', 'src/stripe', 'src/postgres', 'src/handlers', 'activities', 'workflows'],
  'src/webhooks': ['src/domain', 'src/stripe', 'src/postgres', 'src/config.ts'],
  // The judge of the product is written from Stripe's documentation: it sees nothing of our side of the wire.
  'src/sandbox/simulator': [],
  'src/sandbox': ['src/domain', 'src/stripe', 'src/sandbox/simulator'],
  'src/cli': [
    'src/domain',
    'src/stripe',
    'src/postgres',
    'src/handlers',
    'src/temporal',
    'src/webhooks',
    'src/sandbox',
    'src/sandbox/simulator',
    'src/config.ts',
    'workflows',
    'activities',
  ],
};

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function roomOf(path: string): string {
  const rooms = Object.keys(MAY_IMPORT).sort((a, b) => b.length - a.length);
  return rooms.find((room) => path === room || path.startsWith(`${room}/`)) ?? path;
}

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => `${folder}/${path.split(sep).join('/')}`);
}

function importsOf(path: string): Import[] {
  const text = readFileSync(join(ROOT, path), 'utf8');
  return [...text.matchAll(/^(?:import|export)\s+(type\s)?[^;]*?from\s+'(\.[^']+)'/gms)].map((match) => ({
    from: path,
    to: relative(ROOT, resolve(ROOT, dirname(path), match[2] ?? ''))
      .split(sep)
      .join('/')
      .replace(/\.js$/, '.ts'),
    typeOnly: match[1] !== undefined,
  }));
}

const imports = [...sources('src'), ...sources('workflows'), ...sources('activities')].flatMap(importsOf);

function isAllowed({ from, to, typeOnly }: Import): boolean {
  const room = roomOf(from);
  const target = roomOf(to);
  if (room === target) return true;
  return (MAY_IMPORT[room] ?? []).some((rule) => {
    if (rule === `${target} (types)`) return typeOnly;
    return rule === target || to.startsWith(`${rule}/`);
  });
}

describe('the rooms', () => {
  it('were all found, with their imports', () => {
    expect(imports.length).toBeGreaterThan(100);
    expect(new Set(imports.map((entry) => roomOf(entry.from)))).toEqual(new Set(Object.keys(MAY_IMPORT)));
  });

  it('import only in the direction of the design', () => {
    expect(imports.filter((entry) => !isAllowed(entry))).toEqual([]);
  });

  it('keep the domain free of I/O, of Temporal and of every other package', () => {
    const packages = sources('src/domain').flatMap((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8');
      return [...text.matchAll(/from '([^.'][^']*)'/g)].map((match) => `${path}: ${match[1]}`);
    });
    expect(packages).toEqual([]);
  });

  it('keep clock and chance out of workflows and domain', () => {
    const offenders = [...sources('workflows'), ...sources('src/domain')].filter((path) =>
      /Date\.now|new Date\(\)|Math\.random|performance\.now|setTimeout/.test(
        readFileSync(join(ROOT, path), 'utf8'),
      ),
    );
    expect(offenders).toEqual([]);
  });

  it('leave the environment to the command line and the sandbox, which hand it on', () => {
    const readers = imports
      .map((entry) => entry.from)
      .filter((path, index, all) => all.indexOf(path) === index)
      .filter((path) => /process\.env/.test(readFileSync(join(ROOT, path), 'utf8')));
    expect(
      readers.filter((path) => !path.startsWith('src/cli/') && !path.startsWith('src/sandbox/')),
    ).toEqual([]);
  });
});
