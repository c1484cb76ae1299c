/**
 * The simulator in a process of its own, so that what it costs is not the worker's. Started by `startSimulatorProcess`;
 * it ends with whoever started it.
 */
import { createSimulator } from '../src/sandbox/simulator/index.js';
import type { SimulatorStarted, SimulatorWanted } from './backfill-world.js';

const wanted = JSON.parse(process.argv[2] ?? '{}') as SimulatorWanted;
process.once('disconnect', () => process.exit(0));

const simulator = await createSimulator({ seed: wanted.seed });
const began = performance.now();
for (const [object, count] of Object.entries(wanted.objects)) {
  if (count > 0) simulator.createMany(object, count);
}
const { latencyMs, perEndpoint } = wanted;
simulator.setFaults(latencyMs === 0 ? {} : { latency: { fixedMs: latencyMs } });
simulator.setLimits(perEndpoint === null ? {} : { perEndpointPerSecond: perEndpoint });
simulator.recordPages(true);
process.send?.({
  url: simulator.url,
  apiKey: simulator.apiKey,
  now: simulator.now(),
  seedSeconds: (performance.now() - began) / 1000,
} satisfies SimulatorStarted);
