/** Every GET path of the catalog: lists, retrieves and the odd singleton, found segment by segment. */
import { type CatalogObject, catalog, ownerOfCollection } from './catalog.js';
import { filterNames } from './list-parameters.js';

export interface ListRoute {
  readonly kind: 'list';
  readonly path: string;
  /** More than one where a list mixes kinds, such as a customer's sources. */
  readonly objects: string[];
  /** The object whose id stands in the path. */
  readonly parent?: string;
  /** The parent that a required parameter names, such as the subscription of subscription items. */
  readonly queryParent?: { readonly object: string; readonly param: string };
  readonly required: readonly string[];
  readonly createdFilter: boolean;
  readonly endingBefore: boolean;
  readonly filters: ReadonlySet<string>;
}

export interface RetrieveRoute {
  readonly kind: 'retrieve';
  readonly path: string;
  readonly objects: string[];
  readonly parent?: string;
  /** One per account, or per parent: the path ends in a word, and not in an id. */
  readonly singleton: boolean;
}

interface Node {
  readonly words: Map<string, Node>;
  wildcard?: Node;
  list?: ListRoute;
  retrieve?: RetrieveRoute;
}

export interface Match {
  readonly route: ListRoute | RetrieveRoute;
  readonly ids: readonly string[];
}

const isParam = (segment: string): boolean => segment.startsWith('{');

/** The object whose id is in the middle of a path, found by the path up to it. */
function parentOfPath(path: string): string | undefined {
  const segments = path.split('/');
  const index = segments.findIndex(isParam);
  if (index < 0 || index === segments.length - 1) return undefined;
  return ownerOfCollection(segments.slice(0, index).join('/'));
}

function listRoute(entry: CatalogObject, path: string): ListRoute {
  const parent = parentOfPath(path);
  const [param] = entry.requiredQuery;
  const parentObject = entry.parent?.object;
  const byQuery = parent === undefined && param !== undefined && parentObject != null;
  return {
    kind: 'list',
    path,
    objects: [entry.object],
    ...(parent === undefined ? {} : { parent }),
    ...(byQuery ? { queryParent: { object: parentObject, param } } : {}),
    required: entry.requiredQuery,
    createdFilter: entry.createdFilter,
    endingBefore: entry.endingBefore,
    filters: new Set([...filterNames(entry.object, path, parent !== undefined), ...entry.requiredQuery]),
  };
}

const root: Node = { words: new Map() };

function nodeAt(path: string): Node {
  let node = root;
  for (const segment of path.split('/').slice(1)) {
    let next = isParam(segment) ? node.wildcard : node.words.get(segment);
    if (next === undefined) {
      next = { words: new Map() };
      if (isParam(segment)) node.wildcard = next;
      else node.words.set(segment, next);
    }
    node = next;
  }
  return node;
}

for (const entry of catalog.values()) {
  for (const path of [entry.listPath, ...entry.otherListPaths]) {
    if (path === null) continue;
    const node = nodeAt(path);
    if (node.list === undefined) node.list = listRoute(entry, path);
    else node.list.objects.push(entry.object);
  }
  for (const path of [entry.retrievePath, ...entry.otherRetrievePaths]) {
    if (path === null) continue;
    const node = nodeAt(path);
    const parent = parentOfPath(path);
    if (node.retrieve === undefined) {
      const singleton = !path.endsWith('}');
      node.retrieve = {
        kind: 'retrieve',
        path,
        objects: [entry.object],
        singleton,
        ...(parent === undefined ? {} : { parent }),
      };
    } else {
      node.retrieve.objects.push(entry.object);
    }
  }
}

function decoded(segment: string): string | undefined {
  try {
    return segment === '' ? undefined : decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/** The route of a GET path, words before ids: `/v1/accounts/acct_1/persons` is no person. */
export function matchPath(path: string): Match | undefined {
  const segments = path.split('/');
  const ids: string[] = [];
  let node = root;
  for (let index = 1; index < segments.length; index += 1) {
    const segment = segments[index] as string;
    const word = node.words.get(segment);
    if (word !== undefined) {
      node = word;
      continue;
    }
    const id = decoded(segment);
    if (node.wildcard === undefined || id === undefined) return undefined;
    ids.push(id);
    node = node.wildcard;
  }
  const route = node.list ?? node.retrieve;
  return route === undefined ? undefined : { route, ids };
}

/** The parents by which an object is listed, through a path or a required parameter. */
export function listParents(object: string): string[] {
  const entry = catalog.get(object);
  if (entry === undefined) return [];
  const parents = new Set<string>();
  for (const path of [
    entry.listPath,
    ...entry.otherListPaths,
    entry.retrievePath,
    ...entry.otherRetrievePaths,
  ]) {
    const parent = path === null ? undefined : parentOfPath(path);
    if (parent !== undefined) parents.add(parent);
  }
  if (entry.parent?.object != null) parents.add(entry.parent.object);
  return [...parents];
}
