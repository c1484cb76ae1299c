import { describe, expect, it } from 'vitest';
import { createModelList, type ModelList } from './model-list.js';
import { begin, eventsOf, passOver, stream } from './pass-loop.js';

describe('a pass that meets a position which Stripe does not know', () => {
  const events = stream(10, 60, () => 0);

  it('goes on from the cursor where it was a place of the trail', () => {
    const list = createModelList(events, { pageSize: 100 });
    const loop = begin({ cursor: { id: events[0]?.id ?? '', created: 1_000 } });
    loop.now = 1_061;
    const trail = [{ id: 'evt_mislaid', created: 1_059, events: 300, readAt: 1_060 }];
    loop.reading = { ...loop.reading, trail };
    expect(passOver(list, loop)).toMatchObject({ complete: true, reading: { reanchored: null } });
    expect(list.seen.size).toBe(events.length - 1);
  });

  it('finds a place by time where it was the cursor, further back by the lag', () => {
    const list = createModelList(events, { pageSize: 100 });
    const loop = begin({ cursor: { id: 'evt_unknown', created: 1_030 } });
    loop.now = 1_061;
    expect(passOver(list, loop)).toMatchObject({ complete: true, reading: { reanchored: { gap: null } } });
    expect(loop.reading.cursor?.created).toBe(1_024);
    expect([...list.seen].length).toBe(events.filter((event) => event.at >= 1_024).length - 9);
  });

  it('tells the gap where that time is past retention', () => {
    const list = createModelList(events, { pageSize: 100 });
    const loop = begin({ cursor: { id: 'evt_unknown', created: 1_030 } });
    loop.now = 1_025 + 40 * 86_400;
    const empty = createModelList([], { pageSize: 100 });
    expect(passOver(empty, loop)).toMatchObject({
      reading: { reanchored: { gap: { from: 1_025, to: 1_025 + 10 * 86_400 } } },
    });
    expect(list.seen.size).toBe(0);
  });

  it('tells no gap where the list was read all the while, and its last event has only grown too old', () => {
    const loop = begin({
      cursor: { id: 'evt_old', created: 1_000 },
      anchor: 1_000,
      lookedAt: 1_000 + 31 * 86_400,
    });
    loop.now = 1_060 + 31 * 86_400;
    const empty = createModelList([], { pageSize: 100 });
    expect(passOver(empty, loop)).toMatchObject({ complete: true, reading: { reanchored: { gap: null } } });
    expect(loop.reading).toMatchObject({ cursor: null, anchor: 1_060 + 31 * 86_400 - 6 });
  });

  it('tells the gap also where there was no cursor, and nobody had read the list for too long', () => {
    const loop = begin({ anchor: 1_000 });
    loop.now = 1_000 + 40 * 86_400;
    const [first] = eventsOf([{ at: loop.now - 5, delay: 0, order: 0 }]);
    const list = createModelList(first === undefined ? [] : [first], { pageSize: 100 });
    expect(passOver(list, loop)).toMatchObject({
      reading: { reanchored: { gap: { from: 1_000, to: 1_000 + 10 * 86_400 } } },
    });
    expect(list.seen.size).toBe(1);
    const read = begin({ anchor: 1_000 });
    for (const days of [0, 20, 40, 60]) {
      read.now = 1_000 + days * 86_400;
      expect(passOver(createModelList([], { pageSize: 100 }), read)?.reading.reanchored).toBeNull();
    }
  });

  it('does not give up a good cursor for places of the trail that Stripe mislays', () => {
    const list = createModelList(events, { pageSize: 5 });
    const cursor = { id: events[0]?.id ?? '', created: 1_000 };
    const loop = begin({ cursor });
    loop.now = 1_061;
    const forgetful: ModelList = {
      ...list,
      answer: (request, now) =>
        request.kind === 'after' && request.id !== cursor.id ? 'lost' : list.answer(request, now),
    };
    expect(passOver(forgetful, loop)).toMatchObject({ nowhere: true, reading: { cursor, reanchored: null } });
  });

  it('gives up where Stripe knows none of what it has just listed', () => {
    const list = createModelList(events, { pageSize: 100 });
    const forgetful: ModelList = {
      ...list,
      answer: (request, now) => (request.kind === 'after' ? 'lost' : list.answer(request, now)),
    };
    const loop = begin({ cursor: { id: events[5]?.id ?? '', created: 1_000 } });
    loop.now = 1_061;
    expect(passOver(forgetful, loop)).toMatchObject({ nowhere: true });
    expect(loop.requests).toBeLessThan(30);
  });
});
