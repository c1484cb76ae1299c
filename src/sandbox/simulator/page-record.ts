/**
 * Which pages of lists were served: how a backfill's requests are counted, and what it listed more than once. Switched
 * on only while somebody counts, since it remembers every page and every id.
 */

export interface ServedPages {
  readonly pages: number;
  /** Pages by what was asked for: the same list, range and cursor is the same page. */
  readonly differentPages: number;
  /** Objects on all pages, and how many different ones. */
  readonly objects: number;
  readonly differentObjects: number;
  /** When the first and the last page were read, in seconds of the machine's clock. */
  readonly firstAt: number;
  readonly lastAt: number;
}

export interface PageRecord {
  /** Switches it on, with nothing recorded yet, or off. */
  record(on: boolean): void;
  /** Takes note of a page that was served. */
  note(url: string, query: object, ids: Iterable<string>): void;
  /** By the path of the list; empty while it is off. */
  served(): Record<string, ServedPages>;
}

interface ListRecord {
  pages: number;
  objects: number;
  readonly queries: Set<string>;
  readonly ids: Set<string>;
  readonly firstAt: number;
  lastAt: number;
}

export function createPageRecord(): PageRecord {
  let lists: Map<string, ListRecord> | undefined;
  return {
    record(on) {
      lists = on ? new Map() : undefined;
    },
    note(url, query, ids) {
      if (lists === undefined) return;
      const at = Date.now() / 1000;
      let list = lists.get(url);
      if (list === undefined) {
        list = { pages: 0, objects: 0, queries: new Set(), ids: new Set(), firstAt: at, lastAt: at };
        lists.set(url, list);
      }
      list.pages += 1;
      list.lastAt = at;
      list.queries.add(
        JSON.stringify(Object.entries(query).sort(([one], [other]) => (one < other ? -1 : 1))),
      );
      for (const id of ids) {
        list.objects += 1;
        list.ids.add(id);
      }
    },
    served: () =>
      Object.fromEntries(
        [...(lists ?? [])].map(([url, { queries, ids, ...counts }]) => [
          url,
          { ...counts, differentPages: queries.size, differentObjects: ids.size },
        ]),
      ),
  };
}
