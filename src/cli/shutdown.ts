/** A wrapper such as npm may hand on the Ctrl-C that the terminal has sent us already. */
const SAME_WISH_MS = 1_000;

/**
 * Resolves at the first SIGINT or SIGTERM. A later one ends the process at once, for whoever has no patience;
 * a watchdog then ends the servers.
 */
export function shutdownRequested(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked: number | null = null;
    const listen = (signal: NodeJS.Signals) => {
      if (asked !== null && performance.now() - asked > SAME_WISH_MS) process.exit(130);
      asked ??= performance.now();
      resolve(signal);
    };
    process.on('SIGINT', listen);
    process.on('SIGTERM', listen);
  });
}

/** What `promise` gives, or undefined where that takes longer than `milliseconds`. */
export async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, milliseconds, undefined);
  });
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}
