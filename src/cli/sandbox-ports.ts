import { UserError } from '../domain/failures.js';
import { assertPortFree, type PortInUseError } from '../sandbox/ports.js';

export interface SandboxPorts {
  readonly postgres: number;
  readonly temporal: number;
  readonly ui: number;
  readonly stripe: number;
}

/** Each server's name in messages, and the option that gives it another port. */
const SERVERS = {
  postgres: { name: 'PostgreSQL', option: '--postgres-port', part: 'postgres' },
  temporal: { name: 'Temporal', option: '--temporal-port', part: 'temporal' },
  ui: { name: 'Temporal UI', option: '--ui-port', part: 'temporal' },
  stripe: { name: 'Stripe simulator', option: '--stripe-port', part: 'stripe' },
} as const;

/**
 * Looks at the ports of the parts that are to be started, before any of them is.
 * @throws PortInUseError; a plain error where the system reserves the port
 */
export async function assertPortsFree(
  ports: SandboxPorts,
  started: { readonly postgres: boolean; readonly temporal: boolean; readonly stripe: boolean },
): Promise<void> {
  for (const key of Object.keys(SERVERS) as (keyof SandboxPorts)[]) {
    const { name, part } = SERVERS[key];
    if (started[part]) await assertPortFree(ports[key], name);
  }
}

/** Says which option helps. */
export function portProblem({ port, server }: PortInUseError): UserError {
  const option = Object.values(SERVERS).find(({ name }) => name === server)?.option ?? 'another port';
  return new UserError(
    `${server} cannot listen on 127.0.0.1:${port}: another program has that port. ` +
      `Stop that program (find it with: lsof -i :${port}), or choose another port with ${option}.`,
  );
}
