import type { SimulatorProcess } from './backfill-world.js';

/** The texts of all pages of a list, the newest first, from a simulator that is neither slow nor limited. */
export async function readPages(simulator: SimulatorProcess, path: string): Promise<string[]> {
  await simulator.control({ faults: {}, limits: {} });
  const pages: string[] = [];
  for (let after = ''; ; ) {
    const response = await fetch(`${simulator.url}${path}?limit=100${after}`, {
      headers: { authorization: `Bearer ${simulator.apiKey}` },
    });
    const page = await response.text();
    const { data, has_more: hasMore } = JSON.parse(page) as { data: { id: string }[]; has_more: boolean };
    pages.push(page);
    if (!hasMore) return pages;
    after = `&starting_after=${data.at(-1)?.id}`;
  }
}
