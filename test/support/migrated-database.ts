import { migrate } from '../../src/postgres/migrate.js';
import { createTestDatabase, type TestDatabase } from './database.js';

/** A fresh database with all schemas, for one test file. */
export async function createMigratedDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase();
  await migrate({ connectionString: database.url });
  return database;
}
