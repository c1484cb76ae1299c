const PLAIN_INTERVAL_MS = 15_000;
const LIVE_INTERVAL_MS = 1_000;

/** Something long that says how far it is. */
export interface Progress {
  /** Ends the display. `last` replaces it with a closing line. */
  done(last?: string): void;
}

/** `1:05` for 65,000 ms. */
export function elapsed(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/**
 * Shows what `describe` says: on a terminal as one line that is written anew each second, elsewhere as plain
 * lines, one now and one every 15 s.
 */
export function showProgress(options: {
  readonly describe: (elapsed: string) => string;
  readonly log: (line: string) => void;
  readonly terminal?: { readonly isTTY?: boolean; write(text: string): unknown } | undefined;
}): Progress {
  const { describe, log, terminal } = options;
  const live = terminal?.isTTY === true;
  const startedAt = Date.now();
  const show = (): void => {
    const text = describe(elapsed(Date.now() - startedAt));
    if (live) terminal.write(`\r\u001b[2K${text}`);
    else log(text);
  };
  show();
  const timer = setInterval(show, live ? LIVE_INTERVAL_MS : PLAIN_INTERVAL_MS);
  return {
    done: (last) => {
      clearInterval(timer);
      if (live) terminal.write('\r\u001b[2K');
      if (last !== undefined) log(last);
    },
  };
}
