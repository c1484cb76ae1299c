/** The simulator delivers webhooks to the worker of the sandbox, as Stripe does to that of an installation. */
import { randomBytes } from 'node:crypto';
import type { Simulator } from '../sandbox/simulator/index.js';
import type { WebhookOptions } from './worker-process.js';

export interface SandboxWebhooks {
  /** For the worker, which receives them. */
  readonly options: WebhookOptions;
  /**
   * Lets the simulator deliver to the account, once it is started: before, its deliveries would be turned away.
   *
   * @param port where the worker receives
   * @returns the URL that events go to from now on
   */
  deliverTo(port: number, account: string): string;
}

const LOOPBACK = '127.0.0.1';

/**
 * A simulator that goes on keeps the endpoint of an earlier start, at a port that is another one by now. Nothing shows its
 * secret a second time, so it gets a new one.
 */
export function createSandboxWebhooks(simulator: Simulator): SandboxWebhooks {
  const known = endpointOf(simulator);
  const secret =
    known === null ? `whsec_${randomBytes(24).toString('hex')}` : simulator.rollSecret(known, 0).secret;
  return {
    options: { host: LOOPBACK, port: 0, secretsOf: () => [secret] },
    deliverTo(port, account) {
      const url = `http://${LOOPBACK}:${port}${pathOf(account)}`;
      if (known === null) simulator.addWebhookEndpoint({ url, secret });
      else simulator.updateWebhookEndpoint(known, { url, disabled: false });
      return url;
    },
  };
}

/** Ends the deliveries to a worker that receives none. */
export function withoutWebhooks(simulator: Simulator): void {
  const known = endpointOf(simulator);
  if (known !== null) simulator.updateWebhookEndpoint(known, { disabled: true });
}

/** The endpoint that an earlier start made; null where there is none. */
function endpointOf(simulator: Simulator): string | null {
  for (const [id, { data, deleted }] of simulator.truth().get('webhook_endpoint') ?? []) {
    const url = typeof data.url === 'string' && URL.canParse(data.url) ? new URL(data.url) : null;
    if (!deleted && url?.hostname === LOOPBACK && url.pathname.startsWith(pathOf(''))) return id;
  }
  return null;
}

function pathOf(account: string): string {
  return `/webhooks/${account}`;
}
