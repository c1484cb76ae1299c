import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/sandbox/ports.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { expectFailure, type Variables } from './cli-process.js';
import { createWorld, type World } from './world.js';

let world: World;
let empty: TestDatabase;
let silent: Server;
let silentAddress: string;
let closedPort: number;

beforeAll(async () => {
  world = await createWorld();
  empty = await createTestDatabase();
  closedPort = await freePort();
  silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  silentAddress = `127.0.0.1:${(silent.address() as { port: number }).port}`;
});

afterAll(async () => {
  silent?.close();
  await empty?.drop();
  await world?.close();
});

function databaseWith(change: (url: URL) => void): Variables {
  const url = new URL(world.database.url);
  change(url);
  return { DATABASE_URL: url.href };
}

/** Commands that need PostgreSQL. */
const ON_POSTGRES = [['worker'], ['migrate'], ['status', 'acme']];

describe('PostgreSQL', () => {
  it.each(ON_POSTGRES)(
    'nobody listens on its port: %s says so, and which variable to correct',
    async (...args) => {
      const over = databaseWith((url) => {
        url.port = String(closedPort);
      });
      const result = await world.run(args, over);
      expectFailure(
        result,
        new RegExp(
          `PostgreSQL at 127.0.0.1:${closedPort} cannot be reached \\(ECONNREFUSED\\).*DATABASE_URL`,
        ),
      );
    },
  );

  it('refuses a wrong password: the line names the user and never the password', async () => {
    const over = databaseWith((url) => {
      url.password = 'wrong-hunter2';
    });
    for (const result of await Promise.all(ON_POSTGRES.map((args) => world.run(args, over)))) {
      expectFailure(result, /refuses the password of the user "postgres" \(28P01\).*DATABASE_URL/);
      expect(result.stderr).not.toContain('hunter2');
    }
  });

  it('does not let us in without a password: the command ends within seconds', async () => {
    const over = databaseWith((url) => {
      url.password = '';
    });
    const result = await world.run(['migrate'], over);
    expectFailure(result, /asks for a password, and DATABASE_URL has none/);
    expect(result.seconds).toBeLessThan(10);
  });

  it('has no such database: the line names it', async () => {
    const over = databaseWith((url) => {
      url.pathname = '/nowhere';
    });
    for (const result of await Promise.all(ON_POSTGRES.map((args) => world.run(args, over)))) {
      expectFailure(result, /has no database "nowhere" \(3D000\)\. Create it/);
    }
  });

  it('holds no schema yet: the line says what to run', async () => {
    const over = { DATABASE_URL: empty.url };
    const results = await Promise.all([['worker'], ['status', 'acme']].map((args) => world.run(args, over)));
    for (const result of results) {
      expectFailure(result, /no schema of stripe-sync yet.*stripe-sync migrate/);
    }
  });

  it('is not named at all: the line names the variable', async () => {
    expectFailure(await world.run(['worker'], { DATABASE_URL: undefined }), /DATABASE_URL is not set/);
  });
});

describe('Temporal', () => {
  it.each([['worker'], ['list'], ['start', 'acme'], ['status', 'acme'], ['pause', 'acme']])(
    'nobody listens at its address: %s says so at once',
    async (...args) => {
      const result = await world.run(args, { TEMPORAL_ADDRESS: `127.0.0.1:${closedPort}` });
      expectFailure(
        result,
        new RegExp(`Temporal does not answer at 127.0.0.1:${closedPort}.*TEMPORAL_ADDRESS`),
      );
      expect(result.seconds).toBeLessThan(8);
    },
  );

  it('accepts connections and says nothing: commands give up soon, also where starting takes its time', async () => {
    const over = { TEMPORAL_ADDRESS: silentAddress };
    const results = await Promise.all([['worker'], ['list']].map((args) => world.run(args, over)));
    for (const result of results) {
      expectFailure(result, new RegExp(`Temporal does not answer at ${silentAddress}`));
      expect(result.seconds).toBeLessThan(25);
    }
  });

  it('does not know the namespace: the line names it', async () => {
    const over = { TEMPORAL_NAMESPACE: 'elsewhere' };
    const commands = [['worker'], ['list'], ['start', 'acme'], ['stop', 'acme']];
    for (const result of await Promise.all(commands.map((args) => world.run(args, over)))) {
      expectFailure(result, /Temporal has no namespace elsewhere.*TEMPORAL_NAMESPACE/);
    }
  });

  it('is away while the schemas are made: migrate makes them, and says what is left to do', async () => {
    const over = { TEMPORAL_ADDRESS: `127.0.0.1:${closedPort}` };
    const result = await world.run(['migrate'], over);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toMatch(/PostgreSQL is up to date/);
    expect(result.stdout).toMatch(/search attributes are not registered.*run this command again/s);
  });
});

describe('an account', () => {
  it('cannot have an alias that would break a workflow id or a URL', async () => {
    for (const args of [
      ['start', 'a/b'],
      ['start', ''],
      ['status', ' '],
      ['stop', '../a'],
      ['resync', 'ä'],
    ]) {
      expectFailure(await world.run(args), /account alias.*cannot be used: an alias has 1 to 64/);
    }
  });

  it('that does not run takes no signal', async () => {
    for (const command of ['pause', 'resume', 'stop', 'resync']) {
      expectFailure(await world.run([command, 'nobody']), /nobody does not run.*stripe-sync start nobody/);
    }
  });

  it('that was never started has no status', async () => {
    expectFailure(await world.run(['status', 'nobody']), /no account nobody.*stripe-sync start nobody/);
  });

  it('is not started where no worker runs, and nothing of it is left', async () => {
    const alias = world.alias();
    expectFailure(
      await world.run(['start', alias]),
      /No worker polls the task queue cli-.*stripe-sync worker/,
    );
    expect(await world.isRunning(alias)).toBe(false);
    expect(await world.rowsOf(alias)).toBe(0);
  });

  it('that runs without a worker is said to, by each command that would need one', async () => {
    const alias = world.alias();
    await world.client.workflow.start('account', {
      workflowId: alias,
      taskQueue: `${alias}-nobody-polls`,
      args: [{ account: alias }],
    });
    const [status, list, stop] = await Promise.all([
      world.run(['status', alias]),
      world.run(['list']),
      world.run(['stop', alias]),
    ]);
    expectFailure(status, /runs, but no worker polls its task queue.*stripe-sync worker/);
    expect(list.stdout).toMatch(new RegExp(`^${alias} +no worker`, 'm'));
    expect(stop).toMatchObject({ code: 0, stderr: '' });
    expect(stop.stdout).toMatch(/stops as soon as a worker runs/);
  });
});

describe('--verbose', () => {
  it('adds the stack trace and the cause, on either side of the command, and no secret', async () => {
    const over = databaseWith((url) => {
      url.password = 'wrong-hunter2';
    });
    for (const args of [
      ['--verbose', 'migrate'],
      ['migrate', '--verbose'],
    ]) {
      const { code, stderr } = await world.run(args, over);
      expect(stderr).toMatch(/\n\s+at .*\ncaused by: error: password authentication failed/s);
      expect(stderr).not.toContain('hunter2');
      expect(code).toBe(1);
    }
  });
});
