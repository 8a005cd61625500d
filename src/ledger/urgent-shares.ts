/** Which urgent groups go first: at most q a signer within maxHold; what comes beyond waits like the rest (T11). */
import type { Transaction } from '../registry/statement.ts';
import { isUrgent, URGENT_A_SIGNER, urgentSigners } from '../registry/urgent.ts';

const MAX_SIGNERS = 4096;

export class UrgentShares {
  /** When a signer's urgent statements were ordered, by the hex of its key id: seconds. */
  readonly #ordered = new Map<string, readonly number[]>();

  /** Whether the group is urgent and its signers have not used up what they may put first after `since`. */
  goesFirst(group: readonly Transaction[], since: number): boolean {
    return (
      isUrgent(group) &&
      urgentSigners(group).every((signer) => {
        const times = this.#ordered.get(signer) ?? [];
        return times.filter((time) => time > since).length < URGENT_A_SIGNER;
      })
    );
  }

  /** Counts an urgent group against its signers' share, once its signatures were found good. */
  count(group: readonly Transaction[], now: number): void {
    for (const signer of urgentSigners(group)) {
      const times = this.#ordered.get(signer) ?? [];
      this.#ordered.delete(signer);
      this.#ordered.set(signer, [...times, now].slice(-URGENT_A_SIGNER));
    }
    while (this.#ordered.size > MAX_SIGNERS)
      this.#ordered.delete(this.#ordered.keys().next().value as string);
  }
}
