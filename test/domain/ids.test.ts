import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entityWorkflowId } from '../../src/domain/ids.js';

describe('the workflow id of an entity', () => {
  it('says what it is', () => {
    expect(entityWorkflowId('shop', 'customer', 'cus_1')).toBe('shop/customer/cus_1');
    expect(entityWorkflowId('shop', 'coupon', 'a/b "c" %')).toBe('shop/coupon/a/b "c" %');
    expect(entityWorkflowId('shop', 'coupon', 'x'.repeat(255))).toBe(`shop/coupon/${'x'.repeat(255)}`);
  });

  it('fits into what Temporal takes, whatever the id of the object', () => {
    const account = 'a'.repeat(64);
    const anyId = fc.string({ unit: 'binary', maxLength: 5_000, size: 'max' });
    fc.assert(
      fc.property(anyId, (objectId) => {
        const id = entityWorkflowId(account, 'financial_connections.authorization', objectId);
        expect(Buffer.byteLength(id)).toBeLessThanOrEqual(1_000);
      }),
      { numRuns: 50 },
    );
    for (const objectId of ['😀'.repeat(255), '日'.repeat(400), 'x'.repeat(5_000)])
      expect(Buffer.byteLength(entityWorkflowId(account, 'coupon', objectId))).toBeLessThanOrEqual(1_000);
  });

  it('is another one for another object, however long both ids are and however alike', () => {
    const base = 'x'.repeat(2_000);
    const ids = Array.from({ length: 2_000 }, (_, at) => `${base.slice(0, at)}y${base.slice(at + 1)}`);
    expect(new Set(ids.map((id) => entityWorkflowId('shop', 'coupon', id))).size).toBe(2_000);
    expect(new Set([...ids, ...ids].map((id) => entityWorkflowId('shop', 'coupon', id))).size).toBe(2_000);
  });
});
