/** Which endpoint Stripe's limiters count a path for: the path with its ids left out. */
import { catalogObjects } from './catalog.js';

interface Node {
  readonly words: Map<string, Node>;
  id?: Node;
}

let root: Node | undefined;

/** The endpoint of a path (`/v1/customers/cus_1/sources?limit=3`): `/v1/customers/:id/sources`. */
export function endpointOf(path: string): string {
  const segments = path.replace(/[?#].*$/s, '').split('/');
  root ??= knownPaths();
  let node: Node | undefined = root;
  return segments
    .map((segment) => {
      // Words before ids: /v1/customers/search is no customer. A coupon may be called search, and is no other endpoint.
      const word: Node | undefined = node?.words.get(segment);
      const isId: boolean = word === undefined && (node?.id !== undefined || looksLikeId(segment));
      node = word ?? node?.id;
      return isId ? ':id' : segment;
    })
    .join('/');
}

function knownPaths(): Node {
  const top: Node = { words: new Map() };
  for (const entry of catalogObjects()) {
    const { listPath, retrievePath, searchPath, otherListPaths, otherRetrievePaths, parents } = entry;
    const more = (parents ?? []).map((parent) => parent.listPath);
    for (const path of [
      listPath,
      retrievePath,
      searchPath,
      ...otherListPaths,
      ...otherRetrievePaths,
      ...more,
    ]) {
      if (path != null) add(top, path);
    }
  }
  return top;
}

function add(top: Node, path: string): void {
  let node = top;
  for (const segment of path.split('/')) {
    let next = segment.startsWith('{') ? node.id : node.words.get(segment);
    if (next === undefined) {
      next = { words: new Map() };
      if (segment.startsWith('{')) node.id = next;
      else node.words.set(segment, next);
    }
    node = next;
  }
}

/** Where the catalog knows no better: `cus_1`, `42`, `price_ABC`; but neither `v1` nor `tax_ids`. */
function looksLikeId(segment: string): boolean {
  if (/^v\d$/.test(segment)) return false;
  return /\d/.test(segment) || /^[a-z]+_\w*[A-Z]/.test(segment);
}
