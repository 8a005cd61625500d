/** T11: when a node stops signing heads, so that a frozen ledger turns stale. Pure; times in POSIX seconds. */
export interface Frozen {
  readonly code: 'NODE_FROZEN_WITHHELD' | 'NODE_FROZEN_UNHEARD';
  readonly since: number;
}

export interface Hearing {
  readonly now: number;
  readonly maxHold: number;
  /** When the orderer was last heard: it answered, or a block of its came. */
  readonly heardAt: number;
  /** Since when a withdrawal, revocation or policy change that this node's own state accepts waits to be ordered. */
  readonly waitingSince: number | undefined;
}

/** Undefined: the node signs. */
export function freezeOf({ now, maxHold, heardAt, waitingSince }: Hearing): Frozen | undefined {
  if (waitingSince !== undefined && now - waitingSince > maxHold)
    return { code: 'NODE_FROZEN_WITHHELD', since: waitingSince + maxHold };
  if (now - heardAt > maxHold) return { code: 'NODE_FROZEN_UNHEARD', since: heardAt + maxHold };
  return undefined;
}
