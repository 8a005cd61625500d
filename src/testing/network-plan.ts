/** Member lists of networks on this machine. */
import { faulty, type Role } from '../registry/policy.ts';
import type { NetworkPlan } from '../node/setup.ts';
import type { Replicate } from '../node/holding.ts';
import { freePorts } from './free-ports.ts';

export interface TestPlanOptions {
  /** 4 unless said otherwise: a, b, c, ...; one or two make a network of mode `trial`. */
  readonly operators?: number;
  /** 1 each unless said otherwise: n1, n2, ... */
  readonly nodesEach?: number;
  /** All three unless said otherwise. */
  readonly roles?: (name: string) => readonly Role[];
  readonly replicate?: (name: string) => Replicate;
  /** Further nodes of the last operator, which are members of no engine. */
  readonly followers?: number;
  /** Those run the engine too, without a vote. */
  readonly followersJoin?: boolean;
  /** The engine of which each operator's first node is a validator; `ready`: they have its keys, and one node orders. */
  readonly consortium?: 'in force' | 'ready';
  /** The rest of the policy: the smallest k by T09, copies on all operators up to 3, 2 of them elsewhere. */
  readonly policy?: Partial<Omit<NetworkPlan, 'operators'>>;
}

/** Operators a, b, c, ... on free loopback ports; the first half are authors', the last one's first node orders. */
export async function testPlan(options: TestPlanOptions = {}): Promise<NetworkPlan> {
  const { operators: n = 4, nodesEach = 1, followers = 0, consortium } = options;
  const f = faulty(n);
  const free = (await freePorts(n * nodesEach + 2 * followers + n)).values();
  const port = (): number => free.next().value as number;
  const operators = Array.from({ length: n }, (_, i) => {
    const name = String.fromCodePoint(97 + i);
    return {
      name,
      kind: i < Math.floor(n / 2) ? ('author' as const) : ('non-author' as const),
      nodes: Array.from({ length: nodesEach + (i === n - 1 ? followers : 0) }, (_each, j) => {
        const node = `${name}/n${j + 1}`;
        const listens = port();
        const replicate = options.replicate?.(node);
        return {
          name: `n${j + 1}`,
          roles: options.roles?.(node) ?? (['general', 'registration', 'retrieval'] as const),
          url: `https://127.0.0.1:${listens}`,
          host: '127.0.0.1',
          port: listens,
          ...(replicate && { replicate }),
          ...(consortium &&
            (j === 0 || (j >= nodesEach && options.followersJoin === true)) && {
              engine: { address: `127.0.0.1:${port()}`, validator: j === 0 },
            }),
        };
      }),
    };
  });
  return {
    mode: n <= 2 ? 'trial' : 'consortium',
    // T09: the smallest k with k >= 2f + 1 and 2k - n > f.
    quorum: Math.max(2 * f + 1, Math.floor((n + f) / 2) + 1),
    copies: Math.min(3, n),
    copiesElsewhere: Math.min(2, n - 1),
    threshold: Math.max(1, n - 1),
    maxAge: 86_400,
    maxHold: 3600,
    skew: 120,
    engine: consortium === 'in force' ? 'cometbft' : 'local',
    orderer: consortium === 'in force' ? '' : `${operators.at(-1)?.name}/n1`,
    ...options.policy,
    operators,
  };
}
