/**
 * A device's challenge (T14, docs/spec/challenge.md): it asks k operators with a nonce of its own what head they signed last,
 * and somebody for the proof of that very head. One nonce serves until the two fit, or until it is given up.
 */
import { MAX_ANSWERS } from '../api/challenge.ts';
import { hex } from '../bytes.ts';
import { challengeHash, NONCE_BYTES, type ChallengeAnswer } from '../log/challenge.ts';
import type { Random } from '../random.ts';
import type { ChallengeAbout, Challenged, NodeAccess } from '../reader/nodes.ts';
import type { Root } from '../registry/root.ts';
import type { JudgedLine } from '../trust/accept.ts';
import type { Challenge } from '../trust/challenge.ts';

/** Who is asked, and by what means. */
export interface ChallengeWay {
  /** Cosigning nodes under a root, or the gateway in the place of them all. */
  readonly challenged: (root: Root) => readonly Challenged[];
  /** Whether that is a gateway, which brings the answers of many. */
  readonly relayed: boolean;
  readonly random: Random;
  /** Waits so many milliseconds. */
  readonly pause: (ms: number) => Promise<void>;
  /** Milliseconds of a clock that never jumps. */
  readonly steady: () => number;
}

export interface ChallengeParts {
  readonly root: Root;
  /** Thumbprint of the device's key. */
  readonly deviceId: Uint8Array;
  /** Whom to ask for a proof, in this order. */
  readonly nodes: () => readonly NodeAccess[];
  readonly about: () => ChallengeAbout;
  /** Judges a node's proof, asked for where none is given, with the answers so far. Errors: any code. */
  readonly judge: (
    node: NodeAccess,
    challenge: Challenge,
    proof: Uint8Array | undefined,
  ) => Promise<JudgedLine>;
  /** Told of a node that did not answer, or gave what was refused; throws on what is not the node's doing. */
  readonly onFailure: (node: NodeAccess, error: unknown) => void;
}

/** Heads go on while a device asks: so often it asks again. */
const ATTEMPTS = 6;
const PAUSE_MS = 150;
/** Milliseconds that a nonce lives: what was answered to it can be older than now by no more. */
const NONCE_MS = 30_000;
/** Nodes that are asked for a proof in one attempt. */
const PROOFS = 4;
const MAX_KEPT = 512;

/**
 * Whether a challenge could say more: where an own clock can be right it is enough, and a policy that is ahead stays so;
 * but a nonce stands above a gateway's clock.
 */
export function isDoubtful({ freshness }: JudgedLine): boolean {
  return freshness.kind === 'fresh'
    ? freshness.clock === 'gateway clock'
    : freshness.reason !== 'policy';
}

/** The line with the first proof that k operators' answers hold for; undefined: given up, and the nonce is dead. */
export async function challenge(
  way: ChallengeWay | undefined,
  parts: ChallengeParts,
): Promise<JudgedLine | undefined> {
  if (!way) return undefined;
  const { random, steady, pause } = way;
  const operators = byOperator(way.challenged(parts.root), random);
  if (operators.length === 0) return undefined;
  const hash = challengeHash(parts.deviceId, random(NONCE_BYTES));
  const end = steady() + NONCE_MS;
  const needed = way.relayed ? 1 : parts.root.policy.quorum;
  const kept = new Map<string, ChallengeAnswer>();
  let few = 0;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (attempt > 0) await pause(PAUSE_MS * attempt);
    const asked = chosen(operators, attempt, attempt === 0 ? needed + 1 : operators.length);
    const { answered, proofs } = await ask(parts, asked, {
      hash,
      kept,
      most: way.relayed ? MAX_ANSWERS : 1,
    });
    if (answered < needed && attempt > 0 && ++few > 1) return undefined;
    const question = { hash, answers: [...kept.values()] };
    const others = parts
      .nodes()
      .filter(({ name }) => !proofs.some(({ node }) => node.name === name));
    const sources = [...proofs, ...others.map((node) => ({ node, proof: undefined }))];
    for (const { node, proof } of kept.size < needed ? [] : sources.slice(0, PROOFS)) {
      if (steady() >= end) return undefined;
      const judged = await judge(parts, node, question, proof);
      // A proof with links in it says that there are more to come.
      const complete = judged && isFreshByNonce(judged) && judged.proven.links.length === 0;
      if (complete && steady() < end) return judged;
    }
  }
  return undefined;
}

async function judge(
  parts: ChallengeParts,
  ...question: Parameters<ChallengeParts['judge']>
): Promise<JudgedLine | undefined> {
  try {
    return await parts.judge(...question);
  } catch (error) {
    parts.onFailure(question[0], error);
    return undefined;
  }
}

function isFreshByNonce({ freshness }: JudgedLine): boolean {
  return freshness.kind === 'fresh' && freshness.clock === 'nonce';
}

// In an order that starts with any of them.
function byOperator(
  nodes: readonly Challenged[],
  random: Random,
): readonly (readonly Challenged[])[] {
  const groups = [...Map.groupBy(nodes, ({ name }) => name.split('/', 1)[0] ?? name).values()];
  const from = (random(1)[0] ?? 0) % Math.max(1, groups.length);
  return [...groups.slice(from), ...groups.slice(0, from)];
}

// One node an operator, another one each time.
function chosen(
  operators: readonly (readonly Challenged[])[],
  attempt: number,
  most: number,
): readonly Challenged[] {
  return operators.slice(0, most).flatMap((nodes) => nodes[attempt % nodes.length] ?? []);
}

async function ask(
  { about, onFailure }: ChallengeParts,
  asked: readonly Challenged[],
  {
    hash,
    kept,
    most,
  }: {
    readonly hash: Uint8Array;
    readonly kept: Map<string, ChallengeAnswer>;
    /** Answers that one of them may give. */
    readonly most: number;
  },
): Promise<{
  readonly answered: number;
  readonly proofs: readonly { readonly node: NodeAccess; readonly proof: Uint8Array }[];
}> {
  const proofs: { readonly node: NodeAccess; readonly proof: Uint8Array }[] = [];
  let answered = 0;
  await Promise.all(
    asked.map(async (node) => {
      try {
        const reply = await node.challenge(hash, about());
        answered += 1;
        for (const answer of reply.answers.slice(0, most)) {
          const name = `${hex(answer.keyId)} ${answer.size} ${hex(answer.root)} ${hex(answer.signature)}`;
          if (kept.size < MAX_KEPT) kept.set(name, answer);
        }
        if (reply.proof) proofs.push({ node, proof: reply.proof });
      } catch (error) {
        onFailure(node, error);
      }
    }),
  );
  return { answered, proofs };
}
