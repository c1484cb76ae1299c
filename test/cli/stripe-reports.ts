import { expect } from 'vitest';
import type { CheckReport } from '../../src/cli/doctor/check.js';
import type { KnownAccount } from '../../src/cli/doctor/known-account.js';
import { checkStripe } from '../../src/cli/doctor/stripe-checks.js';
import type { Simulator } from '../../src/sandbox/simulator/index.js';

export const NOT_STARTED: KnownAccount = { told: true, row: null };

/** What is reported, of which no line may hold a secret, and each that is no 'ok' names a remedy. */
export async function stripeReports(
  simulator: Simulator,
  over: Readonly<Record<string, string | undefined>> = {},
  known: KnownAccount = NOT_STARTED,
): Promise<CheckReport[]> {
  const env = { STRIPE_API_BASE: simulator.url, STRIPE_API_KEY: simulator.apiKey, ...over };
  const reports = await checkStripe(
    { env, account: 'acme', machineNow: Date.now, progress: () => undefined },
    Promise.resolve(known),
  );
  for (const report of reports) {
    const text = JSON.stringify(report);
    for (const [name, value = ''] of Object.entries(env)) {
      if (name !== 'STRIPE_API_BASE' && value.length > 4) expect(text).not.toContain(value);
    }
    expect(report.group).toBe('Stripe');
    expect(report.remedy === undefined).toBe(report.result === 'ok');
  }
  return reports;
}
