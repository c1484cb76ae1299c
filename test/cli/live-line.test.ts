import { describe, expect, it } from 'vitest';
import { createLiveLine } from '../../src/cli/live-line.js';

/** What a terminal would show that never scrolls: each finished line, and the one that the cursor is in. */
function createScreen(columns: number, rows = 24) {
  let text = '';
  return {
    isTTY: true,
    columns,
    rows,
    write(written: string) {
      // Nothing else that it writes holds an escape: the line anew, or some lines up and all below anew.
      for (const [index, part] of written.split('\r\x1b[').entries()) {
        if (index === 0) {
          text += part;
          continue;
        }
        const up = part.startsWith('K') ? 0 : Number.parseInt(part, 10);
        const kept = text.split('\n').slice(0, -1 - up);
        text = kept.map((line) => `${line}\n`).join('') + part.replace(up === 0 ? 'K' : `${up}A\x1b[J`, '');
      }
    },
    lines: () => text.split('\n'),
  };
}

describe('the live line on a terminal', () => {
  it('is written anew in place, and stays below the lines that are said', () => {
    const screen = createScreen(40);
    const line = createLiveLine(screen);
    line.say('Starting');
    line.show('1 of 3', 0);
    line.show('2 of 3', 0);
    expect(screen.lines()).toEqual(['Starting', '2 of 3']);
    line.say('A warning');
    expect(screen.lines()).toEqual(['Starting', 'A warning', '2 of 3']);
    line.clear();
    line.say('Done');
    expect(screen.lines()).toEqual(['Starting', 'A warning', 'Done', '']);
  });

  it('may be several lines, more or fewer each time, and stays below the lines that are said', () => {
    const screen = createScreen(40, 5);
    const line = createLiveLine(screen);
    line.say('Starting');
    line.show('all', 0, () => ['  a', '  b']);
    line.show('all', 0, () => ['  b']);
    expect(screen.lines()).toEqual(['Starting', 'all', '  b']);
    line.say('a is done');
    line.show('all', 0, (room) => ['  b', '  c', '  d', '  e', '  f'].slice(0, room));
    expect(screen.lines()).toEqual(['Starting', 'a is done', 'all', '  b', '  c', '  d']);
    line.clear();
    expect(screen.lines()).toEqual(['Starting', 'a is done', '']);
  });

  it('never wraps, since a wrapped line cannot be taken back', () => {
    const screen = createScreen(10);
    createLiveLine(screen).show('a text that is longer than the screen', 0);
    expect(screen.lines()).toEqual(['a text th']);
  });
});

describe('the live line without a terminal', () => {
  it('is a plain line now and then, and the lines that are said are all there', () => {
    const written: string[] = [];
    const line = createLiveLine({ write: (text) => written.push(text) });
    line.show('too early', 60_000);
    line.show('1 of 3', 0, () => ['  with a bar']);
    line.show('2 of 3', 60_000);
    line.say('Done');
    line.clear();
    expect(written).toEqual(['1 of 3\n', 'Done\n']);
  });
});
