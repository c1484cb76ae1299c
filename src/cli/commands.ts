/** What there is to run. A command's code is loaded when it is called, so that the others cost no time. */
import type { Command } from 'commander';

export interface CommandEntry {
  readonly name: string;
  /** Its arguments, as the overview shows them. */
  readonly usage: string;
  readonly description: string;
  /** Gives what adds arguments, options and action to the command. */
  readonly load: () => Promise<(command: Command) => void>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'dev',
    usage: '[options]',
    description:
      'the whole sandbox: PostgreSQL, Temporal, a Stripe simulator with live traffic, a worker and an account',
    load: async () => (await import('./dev.js')).configureDev,
  },
  {
    name: 'migrate',
    usage: '',
    description:
      'creates or updates the schemas, and registers the search attributes where Temporal allows it',
    load: async () => (await import('./migrate.js')).configureMigrate,
  },
  {
    name: 'worker',
    usage: '[options]',
    description: 'runs a worker until it is told to stop (Ctrl-C)',
    load: async () => (await import('./worker.js')).configureWorker,
  },
  {
    name: 'start',
    usage: '[options] <alias>',
    description: "starts the account's workflow, or goes on from where it was stopped",
    load: async () => (await import('./start.js')).configureStart,
  },
  {
    name: 'list',
    usage: '',
    description: 'the accounts that run',
    load: async () => (await import('./list.js')).configureList,
  },
  {
    name: 'status',
    usage: '[options] <alias>',
    description: 'how far an account is',
    load: async () => (await import('./status.js')).configureStatus,
  },
  {
    name: 'lateness',
    usage: '[options] <alias>',
    description: "how late Stripe's events list was, and how much lag is enough",
    load: async () => (await import('./lateness.js')).configureLateness,
  },
  {
    name: 'pause',
    usage: '<alias>',
    description: 'stops polling until resume',
    load: async () => (await import('./signals.js')).configurePause,
  },
  {
    name: 'resume',
    usage: '<alias>',
    description: 'goes on from the cursor after a pause',
    load: async () => (await import('./signals.js')).configureResume,
  },
  {
    name: 'stop',
    usage: '[options] <alias>',
    description: 'ends the workflow once what it has claimed is delivered; a later start goes on from there',
    load: async () => (await import('./stop.js')).configureStop,
  },
  {
    name: 'resync',
    usage: '[options] <alias>',
    description: 'backfills again while events keep flowing',
    load: async () => (await import('./resync.js')).configureResync,
  },
  {
    name: 'audit',
    usage: '[options] <alias>',
    description: 'compares Stripe with the tables and the ledger; fails where something differs',
    load: async () => (await import('./audit.js')).configureAudit,
  },
  {
    name: 'failures',
    usage: '[options] <alias>',
    description: 'changes that could not be applied: those that are parked, and those that are tried again',
    load: async () => (await import('./failures.js')).configureFailures,
  },
  {
    name: 'retry',
    usage: '[options] <alias> [events...]',
    description: 'takes parked changes again, all of them or the named ones',
    load: async () => (await import('./retry.js')).configureRetry,
  },
  {
    name: 'doctor',
    usage: '[options] <alias>',
    description: 'checks Stripe, the permissions of the key, PostgreSQL and Temporal; changes nothing',
    load: async () => (await import('./doctor.js')).configureDoctor,
  },
];
