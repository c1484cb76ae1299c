import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { createFolder, run } from './cli-process.js';

const folder = createFolder();
afterAll(folder.remove);

const COMMANDS = [
  'dev',
  'migrate',
  'worker',
  'start',
  'list',
  'status',
  'lateness',
  'failures',
  'retry',
  'pause',
  'resume',
  'stop',
  'resync',
  'audit',
  'doctor',
];

describe('wrong usage', () => {
  it.concurrent.each([
    { title: 'no command', args: [], says: /Usage: stripe-sync/ },
    { title: 'an unknown command', args: ['sync'], says: /unknown command 'sync'/ },
    { title: 'an unknown option', args: ['status', 'acme', '--yaml'], says: /unknown option '--yaml'/ },
    { title: 'a missing alias', args: ['status'], says: /missing required argument 'alias'/ },
    { title: 'one argument too many', args: ['list', 'acme'], says: /too many arguments/ },
    {
      title: 'a type that Stripe does not have',
      args: ['start', 'acme', '--types', 'customers,custmer'],
      says: /Unknown types: custmer \(did you mean .*customer/,
    },
    { title: 'an empty list of types', args: ['resync', 'acme', '--types', ','], says: /at least one type/ },
    {
      title: 'a type that has no list',
      args: ['resync', 'acme', '--types', 'mandate'],
      says: /mandate cannot be listed: Stripe has no list of it/,
    },
    {
      title: 'a type whose list does not tell when its objects were created',
      args: ['resync', 'acme', '--types', 'charges,payment_methods', '--since', '7d'],
      says: /--since cannot be told to the lists of payment_method:/,
    },
    {
      title: 'a time that is to come',
      args: ['resync', 'acme', '--since', '2999-01-01'],
      says: /a time that is over/,
    },
    { title: 'a lag that is no duration', args: ['start', 'acme', '--lag', '5 apples'], says: /such as 5s/ },
    { title: 'a lag of days', args: ['start', 'acme', '--lag', '2d'], says: /from 0s to 1d/ },
    {
      title: 'a negative lag',
      args: ['start', 'acme', '--max-lag', '-5s'],
      says: /max-lag.*invalid|unknown option/,
    },
    {
      title: 'polling without a pause',
      args: ['start', 'acme', '--poll-interval', '0'],
      says: /from 100ms to 10m/,
    },
    {
      title: 'an unknown way to hydrate',
      args: ['start', 'acme', '--hydrate', 'maybe'],
      says: /auto, fetch, payload/,
    },
    { title: 'a run of no time', args: ['dev', '--for', '0'], says: /whole number from 1/ },
    { title: 'a seed that is no number', args: ['dev', '--seed', '1e3'], says: /whole number of at least 0/ },
    { title: 'a rate that is no number', args: ['dev', '--rate', 'fast'], says: /number above 0/ },
    { title: 'a port that no machine has', args: ['dev', '--stripe-port', '70000'], says: /from 1 to 65535/ },
  ])('$title is told on stderr, with the usage and exit code 2', async ({ args, says }) => {
    const result = await run(args, folder.path);
    expect(result.stderr).toMatch(says);
    expect(result.stderr).toContain('Usage: stripe-sync');
    expect(result.stdout).toBe('');
    expect(result.code).toBe(2);
  });
});

describe('help', () => {
  it('names every command', async () => {
    const result = await run(['--help'], folder.path);
    for (const command of COMMANDS) expect(result.stdout).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
    expect(result).toMatchObject({ code: 0, stderr: '' });
  });

  it('is there for a single command, with its options and their defaults', async () => {
    const result = await run(['start', '--help'], folder.path);
    for (const option of ['--lag', '--no-backfill', '--types', '--hydrate', '--fresh', '--wait']) {
      expect(result.stdout).toContain(option);
    }
    expect(result.stdout).toContain('default: 5s');
    expect(result).toMatchObject({ code: 0, stderr: '' });
  });

  it('tells the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await run(['--version'], folder.path)).toMatchObject({
      code: 0,
      stdout: `${version}\n`,
      stderr: '',
    });
  });
});
