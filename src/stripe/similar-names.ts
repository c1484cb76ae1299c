const MOST_SUGGESTIONS = 3;

/** Up to three of `candidates` that a typing error or a missing prefix may have meant by `name`, nearest first. */
export function suggestionsFor(name: string, candidates: readonly string[]): string[] {
  const wanted = normalised(name);
  if (wanted === '') return [];
  const tolerated = Math.max(1, Math.floor(wanted.length / 3));
  return [...new Set(candidates)]
    .map((candidate) => ({ candidate, distance: distanceOf(wanted, normalised(candidate)) }))
    .filter(({ distance }) => distance <= tolerated)
    .sort((a, b) => a.distance - b.distance || a.candidate.localeCompare(b.candidate))
    .slice(0, MOST_SUGGESTIONS)
    .map(({ candidate }) => candidate);
}

function normalised(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}

/** A candidate that ends in what was typed (`sessions` for `checkout_sessions`) counts as one edit away. */
function distanceOf(wanted: string, candidate: string): number {
  return wanted.length > 3 && candidate.endsWith(wanted) ? 1 : editDistance(wanted, candidate);
}

function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [row, letter] of [...from].entries()) {
    const current = [row + 1];
    for (const [column, other] of [...to].entries()) {
      const replaced = (previous[column] ?? 0) + (letter === other ? 0 : 1);
      current.push(Math.min(replaced, (previous[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
