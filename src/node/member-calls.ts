/** Members of the consortium engine as sources of blocks and as takers of groups, for nodes that are none. */
import { encodeGroup } from '../api/registration.ts';
import { codeOf, fail } from '../errors.ts';
import type { Placement } from '../ledger/committed-ledger.ts';
import type { BlockSource } from '../ledger/ledger.ts';
import { faulty, type NamedNode } from '../registry/policy.ts';
import type { Transaction } from '../registry/statement.ts';
import type { Peers } from './peers.ts';

const NEVER = new AbortController().signal;
/** A member answers that it keeps what is not ordered by then. */
const ORDER_MS = 15_000;

export function groupBytes(group: readonly Transaction[]): Uint8Array {
  return encodeGroup(
    group.map(({ statement, attachment }) => ({ statement: statement.bytes, attachment })),
  );
}

/** What a node says of itself, or says unintelligibly, is not about the statements. */
export function isAboutNode(error: unknown): boolean {
  return /^(NET|NODE|CBOR|INTERNAL|LEDGER_(CLOSED|HALTED|NOT_ORDERER))/.test(codeOf(error) ?? '');
}

// Nor is what one member lacks: another may have it.
function isOfMember(error: unknown): boolean {
  return isAboutNode(error) || /^(DATABASE|ENGINE|LEDGER)_/.test(codeOf(error) ?? '');
}

/**
 * Blocks of one member while it gives what is taken in; of the next one after it had nothing, gave what was refused, or
 * did not answer. Each block comes with its proof: a member can withhold, for one poll, and no more.
 */
export function fromMembers(
  peers: Pick<Peers, 'blocks'>,
  members: () => readonly NamedNode[],
): BlockSource {
  let turn = 0;
  let asked = 0;
  return {
    async blocks(from, waitMs, signal = NEVER) {
      const list = members();
      // The same question again: what it answered was not taken in.
      if (from === asked) turn++;
      let last: unknown;
      for (let i = 0; i < list.length; i++) {
        const peer = list[(turn + i) % list.length] as NamedNode;
        try {
          // One that does not answer is not waited for twice.
          const blocks = await peers.blocks(peer, from, i === 0 ? waitMs : 0, signal);
          turn += i;
          asked = from;
          return blocks;
        } catch (error) {
          signal.throwIfAborted();
          if (!codeOf(error)) throw error;
          last = error;
        }
      }
      turn++;
      throw last ?? fail('NODE_ORDERER_UNREACHABLE', 'the consortium has no other members');
    },
  };
}

/**
 * Hands a group to one member, and to the next while one can't be asked. What members of f + 1 operators refuse is
 * refused: one of them is honest. Errors: theirs; LEDGER_UNORDERED; NODE_ORDERER_UNREACHABLE when nobody answers.
 */
export function forwardInTurn(
  peers: Pick<Peers, 'order'>,
  members: () => readonly NamedNode[],
  operators: number,
): (group: readonly Transaction[]) => Promise<readonly Placement[]> {
  let first = 0;
  return async (group) => {
    const bytes = groupBytes(group);
    const list = members();
    const refusals = new Map<string, unknown>();
    const start = first;
    let last: unknown;
    for (let i = 0; i < list.length; i++) {
      const peer = list[(start + i) % list.length] as NamedNode;
      try {
        const placements = await peers.order(peer, bytes, ORDER_MS);
        first = start + i;
        return placements;
      } catch (error) {
        // Whoever asks again asks another one.
        first = start + i + 1;
        if (codeOf(error) === 'LEDGER_UNORDERED') throw error;
        if (isOfMember(error)) last = error;
        else refusals.set(peer.operator.name, error);
        if (refusals.size > faulty(operators)) break;
      }
    }
    const [refused] = refusals.values();
    if (refused !== undefined) throw refused;
    return fail('NODE_ORDERER_UNREACHABLE', undefined, {}, last);
  };
}
