/** As much of a terminal as our output needs: it wraps, scrolls, and wraps anew when it gets another width. */
interface Row {
  text: string;
  /** Whether the row goes on in the next one. */
  isWrapped: boolean;
}

export interface TerminalScreen {
  readonly isTTY: true;
  columns: number;
  rows: number;
  write(text: string): void;
  resize(columns: number, rows: number): void;
  /** What is on the screen, and what has left it at its top. */
  lines(): string[];
  scrolledAway(): string[];
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what a terminal is sent
const TOKEN = /\x1b\[(\d*)([A-Z])|[\r\n]|[^\r\n\x1b]/gu;

export function createTerminalScreen(columns: number, rows: number): TerminalScreen {
  let all: Row[] = [{ text: '', isWrapped: false }];
  let row = 0;
  let column = 0;
  const top = () => Math.max(0, all.length - screen.rows);

  function put(character: string): void {
    if (column === screen.columns) {
      at(row).isWrapped = true;
      feed();
    }
    const { text } = at(row);
    at(row).text = `${text.slice(0, column).padEnd(column)}${character}${text.slice(column + 1)}`;
    column += 1;
  }
  function at(index: number): Row {
    const found = all[index];
    if (found === undefined) throw new Error(`the screen has no row ${index}`);
    return found;
  }
  function feed(): void {
    row += 1;
    column = 0;
    if (row === all.length) all.push({ text: '', isWrapped: false });
  }
  function control(count: number, command: string): void {
    if (command === 'A') row = Math.max(top(), row - Math.max(1, count));
    else if (command === 'K' || command === 'J') {
      at(row).text = at(row).text.slice(0, column);
      at(row).isWrapped = false;
      if (command === 'J') {
        for (const below of all.slice(row + 1)) Object.assign(below, { text: '', isWrapped: false });
      }
    } else throw new Error(`the screen does not know the escape ${command}`);
  }

  const screen: TerminalScreen = {
    isTTY: true,
    columns,
    rows,
    write(text) {
      for (const [token, count, command] of text.matchAll(TOKEN)) {
        if (command !== undefined) control(Number(count), command);
        else if (token === '\r') column = 0;
        else if (token === '\n') feed();
        else put(token);
      }
    },
    resize(width, height) {
      const whole: string[] = [];
      let joined = '';
      // Empty rows below the cursor are nothing that anybody wrote.
      for (const { text, isWrapped } of all.slice(0, row + 1)) {
        joined += text;
        if (isWrapped) continue;
        whole.push(joined);
        joined = '';
      }
      all = whole.flatMap((line) => {
        const parts = line.match(new RegExp(`.{1,${width}}`, 'gu')) ?? [''];
        return parts.map((text, index) => ({ text, isWrapped: index < parts.length - 1 }));
      });
      row = all.length - 1;
      column = at(row).text.length;
      screen.columns = width;
      screen.rows = height;
    },
    lines: () => trimmed(all.slice(top())),
    scrolledAway: () => all.slice(0, top()).map(({ text }) => text),
  };
  return screen;
}

function trimmed(rows: readonly Row[]): string[] {
  const texts = rows.map(({ text }) => text);
  while (texts.at(-1) === '') texts.pop();
  return texts;
}
