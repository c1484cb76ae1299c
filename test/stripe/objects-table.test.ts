import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { catalogObjects } from '../../src/stripe/catalog.js';

test('docs/objects.md is what the catalog and the listings give', () => {
  execFileSync(process.execPath, ['scripts/objects-table.mjs', '--check'], { stdio: 'pipe' });
});

test('docs/objects.md has a line for every object', () => {
  const page = readFileSync(new URL('../../docs/objects.md', import.meta.url), 'utf8');
  const missing = catalogObjects().filter(({ object }) => !page.includes(`| \`${object}\``));
  expect(missing.map(({ object }) => object)).toEqual([]);
});
