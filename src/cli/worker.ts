import type { Command } from 'commander';
import { loadConfig } from '../config.js';
import { loadHandlers } from '../handlers/load-handlers.js';
import { temporalTarget } from '../temporal/connection.js';
import { commandEnvironment } from './context.js';
import { createLogger } from './logger.js';
import { shutdownRequested } from './shutdown.js';
import { startWorker } from './worker-process.js';

export function configureWorker(command: Command): void {
  command.option('--handlers <file>', 'TypeScript or JavaScript file of handlers that run inside each apply');
  command.action(async (options: { handlers?: string }) => {
    const handlers =
      options.handlers === undefined ? undefined : await loadHandlers(options.handlers, process.cwd());
    const env = commandEnvironment();
    const config = loadConfig(env);
    const target = temporalTarget(env);
    const log = createLogger(config.logLevel);
    const handling = handlers === undefined ? {} : { handlers: Object.keys(handlers) };
    const worker = await startWorker(env, config, target, log, handlers);
    log.info(
      { temporal: target.address, namespace: target.namespace, taskQueue: config.taskQueue, ...handling },
      'the worker runs',
    );
    await Promise.race([shutdownRequested(), worker.ended]);
    log.info('the worker stops: what runs is given time to end');
    await worker.stop();
  });
}
