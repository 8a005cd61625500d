/**
 * Carries a device's challenge to the nodes, and their answers back with a proof of the head that most of them named (T14,
 * docs/spec/challenge.md). Nothing is believed here, and nothing could be forged: the nonce is the device's.
 */
import { MAX_ANSWERS, type ChallengeReply } from '../api/challenge.ts';
import { hex } from '../bytes.ts';
import { codeOf } from '../errors.ts';
import type { ChallengeAnswer } from '../log/challenge.ts';
import type { ChallengeAbout, Challenged, NodeAccess } from '../reader/nodes.ts';
import { decodeProof } from '../trust/proof.ts';

export interface ChallengeNodes {
  /** Every cosigning node under the root in force. */
  readonly challenged: () => readonly Challenged[];
  /** Whom to ask for a proof, in the order of trust. */
  readonly nodes: () => readonly NodeAccess[];
}

/** Nodes that are asked for a proof of the head. */
const PROOFS = 3;

/** At most one answer a node, and one node an operator. Errors: none for what nodes did. */
export async function relayChallenge(
  { challenged, nodes }: ChallengeNodes,
  hash: Uint8Array,
  about: ChallengeAbout,
): Promise<ChallengeReply> {
  const operators = Map.groupBy(challenged(), ({ name }) => name.split('/', 1)[0] ?? name);
  const asked = [...operators.values()].slice(0, MAX_ANSWERS);
  const answers = (await Promise.all(asked.map((group) => answerOf(group, hash, about)))).flat();
  const size = mostNamed(answers);
  return { answers, proof: size === undefined ? null : await proofOf(nodes(), size, about) };
}

// The next node of an operator is asked when one does not answer.
async function answerOf(
  group: readonly Challenged[],
  hash: Uint8Array,
  about: ChallengeAbout,
): Promise<readonly ChallengeAnswer[]> {
  for (const node of group) {
    const reply = await quietly(() => node.challenge(hash, about));
    if (reply) return reply.answers.slice(0, 1);
  }
  return [];
}

function mostNamed(answers: readonly ChallengeAnswer[]): number | undefined {
  const groups = Map.groupBy(answers, ({ size, root }) => `${size} ${hex(root)}`);
  const most = [...groups.values()].toSorted((a, b) => b.length - a.length)[0];
  return most?.[0]?.size;
}

async function proofOf(
  nodes: readonly NodeAccess[],
  size: number,
  { line, linksKnown }: ChallengeAbout,
): Promise<Uint8Array | null> {
  let other: Uint8Array | null = null;
  for (const node of nodes.slice(0, PROOFS)) {
    const found = await quietly(async () => {
      const proof = await node.latest(line, linksKnown);
      return { proof, size: decodeProof(proof).size };
    });
    if (found?.size === size) return found.proof;
    other ??= found?.proof ?? null;
  }
  // Of another head: the device asks again, and may learn links and policies by it.
  return other;
}

async function quietly<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!codeOf(error)) throw error;
    return undefined;
  }
}
