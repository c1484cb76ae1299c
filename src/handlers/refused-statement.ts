/** PostgreSQL's white space, both kinds of comments (those in stars nest, see below), and empty statements. */
const BLANK = /^(?:[ \t\n\r\f\v;]+|--[^\n\r]*)/;

const TRANSACTION_CONTROL = new Set([
  'abort',
  'begin',
  'commit',
  'end',
  'prepare',
  'release',
  'rollback',
  'savepoint',
  'start',
]);

/** What would stay on the connection after the transaction, for whoever gets it next from the pool. */
const OUTLIVES = new Set(['deallocate', 'discard', 'listen', 'load', 'reset', 'unlisten']);

/**
 * Why a handler may not send this statement, or null. Only its first word is looked at: that several statements
 * come in one text is refused by PostgreSQL itself, since a prepared statement holds one.
 */
export function refusalOf(text: string): string | null {
  const statement = withoutBlanks(text);
  const [word = '', next = ''] = statement
    .slice(0, 200)
    .split(/[^A-Za-z_]+/)
    .map((each) => each.toLowerCase());
  if (TRANSACTION_CONTROL.has(word)) {
    return `${word.toUpperCase()} is refused: a handler runs inside the transaction that applies the change, which begins and ends around it.`;
  }
  if (OUTLIVES.has(word) || (word === 'set' && next !== 'local' && next !== 'constraints')) {
    const hint = word === 'set' && next !== 'transaction' ? ' Use SET LOCAL.' : '';
    return `${word.toUpperCase()} is refused: it would change the connection beyond the handler's transaction.${hint}`;
  }
  return null;
}

function withoutBlanks(text: string): string {
  let rest = text;
  for (;;) {
    const blank = BLANK.exec(rest)?.[0].length ?? lengthOfComment(rest);
    if (blank === 0) return rest;
    rest = rest.slice(blank);
  }
}

/** Length of the comment that the text begins with, to its matching end; 0 where there is none. */
function lengthOfComment(text: string): number {
  if (!text.startsWith('/*')) return 0;
  let depth = 0;
  for (const { 0: mark, index } of text.matchAll(/\/\*|\*\//g)) {
    depth += mark === '/*' ? 1 : -1;
    if (depth === 0) return index + 2;
  }
  return text.length;
}
