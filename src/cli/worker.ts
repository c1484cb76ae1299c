import type { Command } from 'commander';
import { loadConfig } from '../config.js';
import { temporalTarget } from '../temporal/connection.js';
import { commandEnvironment } from './context.js';
import { createLogger } from './logger.js';
import { shutdownRequested } from './shutdown.js';
import { startWorker } from './worker-process.js';

export function configureWorker(command: Command): void {
  command.action(async () => {
    const env = commandEnvironment();
    const config = loadConfig(env);
    const target = temporalTarget(env);
    const log = createLogger(config.logLevel);
    const worker = await startWorker(env, config, target, log);
    log.info(
      { temporal: target.address, namespace: target.namespace, taskQueue: config.taskQueue },
      'the worker runs',
    );
    await Promise.race([shutdownRequested(), worker.ended]);
    log.info('the worker stops: what runs is given time to end');
    await worker.stop();
  });
}
