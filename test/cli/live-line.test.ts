import { describe, expect, it } from 'vitest';
import { createLiveLine } from '../../src/cli/live-line.js';
import { createTerminalScreen } from './terminal-screen.js';

const below = (...lines: string[]) => {
  return () => lines;
};

describe('the live line on a terminal', () => {
  it('is written anew in place, and stays below the lines that are said', () => {
    const screen = createTerminalScreen(40, 24);
    const line = createLiveLine(screen);
    line.say('Starting');
    line.show('1 of 3', 0);
    line.show('2 of 3', 0);
    expect(screen.lines()).toEqual(['Starting', '2 of 3']);
    line.say('A warning');
    expect(screen.lines()).toEqual(['Starting', 'A warning', '2 of 3']);
    line.clear();
    line.say('Done');
    expect(screen.lines()).toEqual(['Starting', 'A warning', 'Done']);
  });

  it('may have lines below it, more or fewer each time, and leaves none of them behind', () => {
    const screen = createTerminalScreen(40, 24);
    const line = createLiveLine(screen);
    line.say('Starting');
    line.show('all', 0, below('  a', '  b'));
    line.show('all', 0, below('  b'));
    expect(screen.lines()).toEqual(['Starting', 'all', '  b']);
    line.say('a is done');
    line.show('all', 0, below('  b', '  c', '  d'));
    expect(screen.lines()).toEqual(['Starting', 'a is done', 'all', '  b', '  c', '  d']);
    line.aside(() => screen.write('a warning\n'));
    expect(screen.lines()).toEqual(['Starting', 'a is done', 'a warning', 'all', '  b', '  c', '  d']);
    line.clear();
    expect(screen.lines()).toEqual(['Starting', 'a is done', 'a warning']);
  });

  it('never wraps and never scrolls, since what did could not be taken back', () => {
    const screen = createTerminalScreen(10, 4);
    const line = createLiveLine(screen);
    line.say('Starting');
    for (const round of ['1st', '2nd', '3rd']) {
      line.show(`the ${round} text is too long`, 0, (room) => {
        expect(room).toBe(2);
        return Array.from({ length: 9 }, (_, index) => `line ${index} is long as well`);
      });
    }
    expect(screen.lines()).toEqual(['Starting', 'the 3rd t', 'line 0 is', 'line 1 is']);
    expect(screen.scrolledAway()).toEqual([]);
  });

  it('is taken back whole where the terminal became narrower meanwhile, or wider', () => {
    const screen = createTerminalScreen(40, 24);
    const line = createLiveLine(screen);
    line.say('Starting');
    line.show('a line of thirty-two characters.', 0, below('another of them, with thirty-nine here.', '  b'));
    screen.resize(15, 24);
    expect(screen.lines().length).toBeGreaterThan(6);
    line.show('a line of thirty-two characters.', 0, below('  b'));
    expect(screen.lines()).toEqual(['Starting', 'a line of thir', '  b']);
    screen.resize(60, 24);
    line.show('a line of thirty-two characters.', 0, below('  b'));
    expect(screen.lines()).toEqual(['Starting', 'a line of thirty-two characters.', '  b']);
    line.clear();
    expect(screen.lines()).toEqual(['Starting']);
  });
});

describe('the live line without a terminal', () => {
  it('is a plain line now and then, and the lines that are said are all there', () => {
    const written: string[] = [];
    const line = createLiveLine({ write: (text) => written.push(text) });
    line.show('too early', 60_000);
    line.show('1 of 3', 0, below('  with a bar'));
    line.show('2 of 3', 60_000);
    line.say('Done');
    line.clear();
    expect(written).toEqual(['1 of 3\n', 'Done\n']);
  });
});
