import { isIP } from 'node:net';
import { type Command, Option } from 'commander';
import { loadConfig, workerVersionOf } from '../config.js';
import { UserError } from '../domain/failures.js';
import { loadHandlers } from '../handlers/load-handlers.js';
import { temporalTarget } from '../temporal/connection.js';
import type { Dedupe } from '../webhooks/read-delivery.js';
import { commandEnvironment } from './context.js';
import { parseWhole } from './duration.js';
import { createLogger } from './logger.js';
import { shutdownRequested } from './shutdown.js';
import { startWorker, type WebhookOptions } from './worker-process.js';

interface WorkerCommandOptions {
  readonly handlers?: string;
  readonly webhooks?: number;
  readonly webhooksHost?: string;
  readonly dedupe?: Dedupe;
  readonly metrics?: number;
  readonly metricsHost?: string;
  readonly deployment?: string;
  readonly buildId?: string;
}

const LOOPBACK = '127.0.0.1';

export function configureWorker(command: Command): void {
  command.option('--handlers <file>', 'TypeScript or JavaScript file of handlers that run inside each apply');
  command
    .option('--webhooks <port>', 'receive webhooks at /webhooks/ALIAS on this port', parseWhole(0, 65_535))
    .option('--webhooks-host <host>', `the address to receive them at (default: ${LOOPBACK})`)
    .addOption(
      new Option(
        '--dedupe <by>',
        'tell events by their payload, for senders whose event ids cannot be used',
      ).choices(['payload']),
    )
    .option('--metrics <port>', 'metrics for Prometheus at /metrics on this port', parseWhole(1, 65_535))
    .option('--metrics-host <host>', `the address to serve them at (default: ${LOOPBACK})`)
    .option('--deployment <name>', 'the worker deployment that this is a version of (STRIPE_SYNC_DEPLOYMENT)')
    .option('--build-id <id>', 'which version: what you call the build (STRIPE_SYNC_BUILD_ID)');
  command.action(async (options: WorkerCommandOptions) => {
    const webhooks = webhookOptions(options);
    const metricsAddress = metricsAddressOf(options);
    const handlers =
      options.handlers === undefined ? undefined : await loadHandlers(options.handlers, process.cwd());
    const env = commandEnvironment();
    const version = workerVersionOf(env, options);
    const config = loadConfig(env);
    const target = temporalTarget(env);
    const log = createLogger(config.logLevel);
    const handling = handlers === undefined ? {} : { handlers: Object.keys(handlers) };
    const worker = await startWorker(env, config, target, log, {
      handlers,
      webhooks,
      version,
      metricsAddress,
    });
    const receiving = worker.webhooksPort === undefined ? {} : { webhooks: worker.webhooksPort };
    log.info(
      {
        temporal: target.address,
        namespace: target.namespace,
        taskQueue: config.taskQueue,
        ...handling,
        ...receiving,
        ...(metricsAddress === undefined ? {} : { metrics: metricsAddress }),
        ...(version === undefined ? {} : { deployment: version.deploymentName, buildId: version.buildId }),
      },
      'the worker runs',
    );
    await Promise.race([shutdownRequested(), worker.ended]);
    log.info('the worker stops: what runs is given time to end');
    await worker.stop();
  });
}

/** @throws UserError (wrong usage) where an address is given, and nothing to serve there */
function metricsAddressOf({ metrics, metricsHost }: WorkerCommandOptions): string | undefined {
  if (metrics === undefined) {
    if (metricsHost === undefined) return undefined;
    throw new UserError('--metrics-host needs --metrics PORT: no metrics are kept without it.', 2);
  }
  const host = metricsHost ?? LOOPBACK;
  if (isIP(host) === 0) throw new UserError('--metrics-host takes an IP address, such as 0.0.0.0.', 2);
  return `${host.includes(':') ? `[${host}]` : host}:${metrics}`;
}

/** @throws UserError (wrong usage) where something is said of webhooks, and none are to be received */
function webhookOptions(options: WorkerCommandOptions): WebhookOptions | undefined {
  const { webhooks: port, webhooksHost, dedupe } = options;
  if (port !== undefined) return { port, host: webhooksHost ?? LOOPBACK, dedupe };
  for (const [name, value] of [
    ['--webhooks-host', webhooksHost],
    ['--dedupe', dedupe],
  ] as const) {
    if (value !== undefined)
      throw new UserError(`${name} needs --webhooks PORT: no webhooks are received without it.`, 2);
  }
  return undefined;
}
