/**
 * What Temporal may know of a Stripe event: its identity and the entity it changes. No payload, no customer
 * data. `created` is in whole seconds of Stripe's clock.
 */
export interface EventReference {
  readonly id: string;
  readonly type: string;
  readonly created: number;
  /** Stripe's `object` name of the changed entity, such as `customer` or `checkout.session`. */
  readonly object: string;
  readonly objectId: string;
}
