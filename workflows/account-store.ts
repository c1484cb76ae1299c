import type { AccountState } from '../src/domain/account-state.js';

/** The state of a run, as its concurrent parts see and change it: always by way of what it is now. */
export interface AccountStore {
  get(): AccountState;
  update(change: (state: AccountState) => AccountState): void;
}

export function createAccountStore(initial: AccountState): AccountStore {
  let state = initial;
  return {
    get: () => state,
    update(change) {
      state = change(state);
    },
  };
}
