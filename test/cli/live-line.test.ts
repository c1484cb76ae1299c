import { describe, expect, it } from 'vitest';
import { createLiveLine } from '../../src/cli/live-line.js';

/** What a terminal of one line height would show: each finished line, and the one that the cursor is in. */
function createScreen(columns: number) {
  let text = '';
  return {
    isTTY: true,
    columns,
    write(written: string) {
      // Nothing else that it writes holds an escape.
      for (const [index, part] of written.split('\r\x1b[K').entries()) {
        if (index > 0) text = text.slice(0, text.lastIndexOf('\n') + 1);
        text += part;
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
    line.show('1 of 3', 0);
    line.show('2 of 3', 60_000);
    line.say('Done');
    line.clear();
    expect(written).toEqual(['1 of 3\n', 'Done\n']);
  });
});
