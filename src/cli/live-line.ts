/** One line of output that is written anew in place; lines that stay go above it. */
export interface LiveLine {
  /**
   * On a terminal the line now says `text`. Elsewhere `text` becomes a line of its own, unless the last such
   * line (or the begin) is less than `everyMs` ago.
   */
  show(text: string, everyMs: number): void;
  /** A line that stays. */
  say(text: string): void;
  /** Takes the live line away while something else is written, and puts it back. */
  aside(write: () => void): void;
  /** Takes the live line away. */
  clear(): void;
}

interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const ERASE = '\r\x1b[K';

export function createLiveLine(out: Output = process.stdout): LiveLine {
  const live = out.isTTY === true;
  let shown = '';
  let last = performance.now();
  const clear = () => {
    if (shown !== '') out.write(ERASE);
    shown = '';
  };
  const aside = (write: () => void) => {
    const below = shown;
    clear();
    write();
    if (below !== '') out.write(below);
    shown = below;
  };
  return {
    clear,
    aside,
    show(text, everyMs) {
      if (live) {
        // A line that wraps could not be erased again.
        shown = text.slice(0, (out.columns || 80) - 1);
        out.write(`${ERASE}${shown}`);
      } else if (performance.now() - last >= everyMs) {
        last = performance.now();
        out.write(`${text}\n`);
      }
    },
    say: (text) => aside(() => out.write(`${text}\n`)),
  };
}
