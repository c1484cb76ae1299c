import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectFailure, run } from './cli-process.js';
import { createWorld, type World } from './world.js';

const EXAMPLE = join(
  dirname(dirname(dirname(fileURLToPath(import.meta.url)))),
  'examples',
  'revenue',
  'handlers.ts',
);

let world: World;

beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world?.close());

function write(name: string, source: string): string {
  writeFileSync(join(world.folder, name), source);
  return name;
}

describe('worker --handlers', () => {
  it.concurrent.each([
    { name: 'nowhere.ts', source: null, says: /There is no file .*nowhere\.ts/ },
    {
      name: 'misspelt.ts',
      source: `export default { 'invoice.payed': () => {} };`,
      says: /misspelt\.ts cannot be used: .*"invoice\.payed" \(did you mean invoice\.paid/,
    },
    {
      name: 'throws.mjs',
      source: `throw new RangeError('no plan is set');`,
      says: /throws\.mjs cannot be loaded: RangeError: no plan is set/,
    },
    {
      name: 'broken.ts',
      source: `export default {{`,
      says: /broken\.ts cannot be loaded: .*broken\.ts:1:\d+/,
    },
  ])('$name is refused before anything is connected, in one line', async ({ name, source, says }) => {
    if (source !== null) write(name, source);
    expectFailure(await run(['worker', '--handlers', name], world.folder), says);
  });

  it('shows the stack of what the file threw with --verbose only', async () => {
    const name = write('verbose.ts', `throw new RangeError('no plan is set');`);
    const { stderr, code } = await run(['--verbose', 'worker', '--handlers', name], world.folder);
    expect(stderr).toMatch(/caused by: RangeError: no plan is set\n\s+at .*verbose\.ts:1:\d+/);
    expect(code).toBe(1);
  });

  it('without a file is wrong usage', async () => {
    const { stderr, code } = await run(['worker', '--handlers'], world.folder);
    expect(stderr).toMatch(/--handlers <file>.*argument missing/);
    expect(code).toBe(2);
  });

  it('takes TypeScript, says what it handles, and survives a promise that nobody awaits', async () => {
    const name = write(
      'floating.ts',
      `import revenue from ${JSON.stringify(EXAMPLE)};
       const tick: () => Promise<never> = async () => { throw new RangeError('jane@example.com'); };
       setTimeout(tick, 2_000);
       export default revenue;`,
    );
    const worker = world.start(['worker', '--handlers', name], world.variables);
    await worker.says(/"handlers":\["invoice\.paid","refund\.created","refund\.failed"\].*the worker runs/);
    await worker.says(/"error":"RangeError".*look for a missing await in the handlers/);
    const { code, stderr } = await worker.end('SIGTERM');
    expect(stderr).not.toContain('jane@example.com');
    expect(code).toBe(0);
  });
});
