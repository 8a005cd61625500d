/** Mutations of what holds when processes die, disks are full and clocks jump. */
import { mutations } from './mutation-list.ts';
import type { Mutation } from './mutations.ts';

export const CRASH_MUTATIONS: readonly Mutation[] = [
  // A follower whose own disk failed would accuse an honest orderer, and halt for good.
  ...mutations('T12', 'src/ledger/replica.ts', 'src/ledger/evidence-crash.test.ts', [
    [
      'if (isRefusal(error)) return this.#lie(bytes, block.height, error);',
      'if (error instanceof FirmamentError) return this.#lie(bytes, block.height, error);',
    ],
  ]),
  // A change that the disk had no room for would be finished by the next one.
  ...mutations('T12', 'src/database.ts', 'src/database.test.ts', [
    ["if (database.inTransaction) database.exec('ROLLBACK');", ''],
    ["if (errcode === 13 || code === 'ENOSPC')", 'if (errcode === 0)'],
  ]),
  // One operator whose clock is ahead would make every proof stale.
  ...mutations('T14', 'src/node/heads.ts', 'src/node/heads.test.ts', [
    ['time <= this.#clock() + this.#root().policy.skew ? time : -time', 'time'],
    ['this.#rank(b.time) - this.#rank(a.time)', 'b.time - a.time'],
    ['this.#rank(same.time) >= this.#rank(time)', 'same.time >= time'],
  ]),
  // A trial that can not be recorded would be tried for ever, or boot nothing.
  ...mutations('T19', 'src/device/bootloader.ts', 'src/device/full-storage.test.ts', [
    ['if (!active || !confirmed || !isStorageError(error)) throw error;', 'throw error;'],
  ]),
];
