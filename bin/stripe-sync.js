#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const entry = new URL('../dist/src/cli/main.js', import.meta.url);
if (!existsSync(fileURLToPath(entry))) {
  console.error('stripe-sync is not built yet. Run: npm run build');
  process.exit(1);
}
const { main } = await import(entry.href);
await main(process.argv);
