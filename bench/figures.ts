/** What there is to measure, in the order in which all of it is run, with sizes that end soon. */
export interface FigureEntry {
  readonly name: string;
  /** Its file in this folder. */
  readonly program: string;
  readonly says: string;
  /** About how long it takes. */
  readonly seconds: number;
  readonly options: readonly string[];
}

export const FIGURES: readonly FigureEntry[] = [
  {
    name: 'catch-up',
    program: 'catch-up-speed',
    says: 'a backlog of 20,000 events beside the same pages in bare statements; at 25 requests a second, beside that limit',
    seconds: 180,
    options: [],
  },
  {
    name: 'live-lane',
    program: 'live-lane',
    says: 'changes a second through entity children, beside empty child workflows on the same server',
    seconds: 140,
    options: ['--runs', '2'],
  },
  {
    name: 'latency',
    program: 'latency',
    says: 'from visible to committed at 5 events a second, without webhooks and with them',
    seconds: 110,
    options: ['--seconds', '40'],
  },
  {
    name: 'backfill',
    program: 'backfill-speed',
    says: 'a backfill without latency beside raw upserts and a bare loop; with 100 ms a page beside a script',
    seconds: 100,
    options: [],
  },
  {
    name: 'webhooks',
    program: 'webhooks',
    says: 'deliveries a second, each durable before it is answered, beside a naive handler',
    seconds: 70,
    options: [],
  },
  {
    name: 'polite-live',
    program: 'polite-live',
    says: 'how often Stripe refuses during a backfill at its limit, and what live changes feel of it',
    seconds: 75,
    options: [],
  },
  {
    name: 'actions',
    program: 'actions',
    says: "Temporal's billable actions per applied change, and per idle account and hour",
    seconds: 190,
    options: ['--seconds', '40', '--idle', '90'],
  },
  {
    name: 'growth',
    program: 'growth',
    says: 'time per change with a million rows in the tables, beside ten thousand',
    seconds: 180,
    options: ['--runs', '2'],
  },
  {
    name: 'worker-start',
    program: 'worker-start',
    says: "from a worker's start to the first applied event",
    seconds: 45,
    options: [],
  },
];
