import { Connection } from '@temporalio/client';
import { expect, inject, it } from 'vitest';
import { createTestDatabase } from '../support/database.js';

it('gives each test file a database of its own, and takes it away again', async () => {
  const template = await createTestDatabase();
  await template.pool.query('CREATE TABLE note AS SELECT 42 AS answer');
  const name = new URL(template.url).pathname.slice(1);
  await template.pool.end();

  const copy = await createTestDatabase({ template: name });
  expect((await copy.pool.query('SELECT answer FROM note')).rows).toEqual([{ answer: 42 }]);
  const empty = await createTestDatabase();
  await expect(empty.pool.query('SELECT answer FROM note')).rejects.toThrow('does not exist');

  await copy.drop();
  const { rows } = await empty.pool.query('SELECT datname FROM pg_database WHERE datname = $1', [
    new URL(copy.url).pathname.slice(1),
  ]);
  expect(rows).toEqual([]);
  await empty.drop();
});

it('gives all test files one Temporal server with the namespace default', async () => {
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  const { namespaceInfo } = await connection.workflowService.describeNamespace({ namespace: 'default' });
  expect(namespaceInfo?.name).toBe('default');
  await connection.close();
});
