/** Some lines of output that are written anew in place; lines that stay go above them. */
export interface LiveLine {
  /**
   * On a terminal the line now says `text`, with the lines of `below` under it. Elsewhere `text` becomes a line of its
   * own, unless the last such line (or the begin) is less than `everyMs` ago.
   *
   * @param below gets how many lines there is room for
   */
  show(text: string, everyMs: number, below?: (room: number) => readonly string[]): void;
  /** A line that stays. */
  say(text: string): void;
  /** Takes the live lines away while something else is written, and puts them back. */
  aside(write: () => void): void;
  /** Takes the live lines away. */
  clear(): void;
}

interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

const ERASE_LINE = '\r\x1b[K';
const ERASE_BELOW = '\x1b[J';

export function createLiveLine(out: Output = process.stdout): LiveLine {
  const live = out.isTTY === true;
  let shown: readonly string[] = [];
  let last = performance.now();
  // Asked each time: the terminal may have got another size meanwhile.
  const columns = () => Math.max(2, out.columns || 80);
  const rows = () => Math.max(2, out.rows || 24);

  /** What takes away what is shown; the cursor is behind its last character. */
  const erasing = () => {
    // A terminal that became narrower has wrapped the lines, and cannot be gone up beyond its top.
    const height = shown.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns())), 0);
    const up = Math.min(height, rows()) - 1;
    return up > 0 ? `\r\x1b[${up}A${ERASE_BELOW}` : ERASE_LINE;
  };
  const clear = () => {
    if (shown.length > 0) out.write(erasing());
    shown = [];
  };
  const draw = (lines: readonly string[]) => {
    const erase = erasing();
    // What wraps, or leaves the screen at its top, could not be taken back.
    shown = lines.slice(0, rows() - 1).map((line) => line.slice(0, columns() - 1));
    out.write(`${erase}${shown.join('\n')}`);
  };
  const aside = (write: () => void) => {
    const below = shown;
    clear();
    write();
    if (below.length > 0) draw(below);
  };
  return {
    clear,
    aside,
    show(text, everyMs, below = () => []) {
      if (live) {
        // A row is left free above, so that what was said last stays to be seen.
        draw([text, ...below(Math.max(0, rows() - 2))]);
      } else if (performance.now() - last >= everyMs) {
        last = performance.now();
        out.write(`${text}\n`);
      }
    },
    say: (text) => aside(() => out.write(`${text}\n`)),
  };
}
