/**
 * A worker of the workflows beside it, in a process of its own as the product's is: `BUNDLE` is the path of their bundle.
 * Says `ready` when it runs, and ends with whoever started it.
 */
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';

const { TEMPORAL_ADDRESS = '127.0.0.1:7233', BUNDLE = '' } = process.env;
process.once('disconnect', () => process.exit(0));

Runtime.install({ logger: new DefaultLogger('WARN') });
const connection = await NativeConnection.connect({ address: TEMPORAL_ADDRESS });
const worker = await Worker.create({
  connection,
  namespace: 'default',
  taskQueue: 'raw-children',
  workflowBundle: { codePath: BUNDLE },
  activities: { nothing: async () => undefined },
});
const ended = worker.run();
process.send?.('ready');
await ended;
