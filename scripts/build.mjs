// Compiles the sources into dist/ and bundles the workflow code, so that neither the CLI nor a worker
// compiles anything when it starts.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const finished = join(root, 'dist');
const stamp = '.built';
const sources = [
  'workflows',
  'activities',
  'src',
  'bench',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
];

function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

const newestSource = Math.max(...sources.map((name) => newest(join(root, name))));
const built = join(finished, stamp);
if (existsSync(built) && Number(readFileSync(built, 'utf8')) === newestSource) process.exit(0);

// What is there goes on to work until all of the new is there, and for good where the new does not compile. Its folder
// is as deep as dist, since the compiled modules look for files beside it.
const dist = join(root, `dist-${process.pid}`);
const require = createRequire(import.meta.url);
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc');
try {
  const options = ['-p', join(root, 'tsconfig.build.json'), '--outDir', dist];
  execFileSync(process.execPath, [tsc, ...options], { stdio: 'inherit' });
} catch {
  rmSync(dist, { recursive: true, force: true });
  console.error('The build failed: the type checker reported the errors above.');
  process.exit(1);
}

for (const path of readdirSync(join(root, 'src'), { recursive: true })) {
  if (path.endsWith('.json') || path.endsWith('.sql'))
    cpSync(join(root, 'src', path), join(dist, 'src', path));
}

if (existsSync(join(dist, 'workflows', 'index.js'))) {
  const { bundleWorkflowCode } = await import('@temporalio/worker');
  const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error };
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(dist, 'workflows', 'index.js'),
    logger: quiet,
  });
  writeFileSync(join(dist, 'workflow-bundle.js'), code);
}
writeFileSync(join(dist, stamp), String(newestSource));
rmSync(finished, { recursive: true, force: true });
renameSync(dist, finished);
