/** Who takes part in the demo's network: two operators that publish too, two that do not. */
import type { NetworkPlan } from '../../node/setup.ts';
import type { Orderer } from '../../registry/orderer.ts';
import type { Role } from '../../registry/policy.ts';

/** The author's own node: the one that dies. */
export const AUTHORS_NODE = 'acme/one';
/** Of the operators left then, the one through which the author publishes on. */
export const OTHER_NODE = 'birch/one';
export const ARCHIVE_NODE = 'city/one';
/** The one that orders; where all of them do, the first that dies. */
export const ORDERER = 'dune/one';
/** Whom the operators put in its place; where all of them order, the second that dies. */
export const APPOINTED = 'city/one';

const MEMBERS: readonly {
  readonly name: string;
  readonly kind: 'author' | 'non-author';
  readonly roles: readonly Role[];
}[] = [
  { name: 'acme', kind: 'author', roles: ['registration', 'retrieval'] },
  { name: 'birch', kind: 'author', roles: ['registration', 'retrieval'] },
  { name: 'city', kind: 'non-author', roles: ['general', 'retrieval'] },
  { name: 'dune', kind: 'non-author', roles: ['general', 'registration'] },
];

export type DemoEngine = Orderer['engine'];

/** How many ports `demoPlan` takes. */
export function portsOf(engine: DemoEngine): number {
  return engine === 'local' ? MEMBERS.length : 2 * MEMBERS.length;
}

/** Quorum 3 of 4 operators; an image on 3 of them, 2 not the author's. Under `cometbft` all four are validators. */
export function demoPlan(engine: DemoEngine, ports: readonly number[]): NetworkPlan {
  return {
    mode: 'consortium',
    quorum: 3,
    copies: 3,
    copiesElsewhere: 2,
    threshold: 3,
    maxAge: 86_400,
    maxHold: 43_200,
    skew: 300,
    engine,
    orderer: engine === 'local' ? ORDERER : '',
    operators: MEMBERS.map(({ name, kind, roles }, i) => {
      const port = ports[i] as number;
      const url = `https://127.0.0.1:${port}`;
      const listens = { name: 'one', roles, url, host: '127.0.0.1', port };
      const peers = ports[MEMBERS.length + i];
      const part = peers !== undefined && { engine: { address: `127.0.0.1:${peers}` } };
      return { name, kind, nodes: [{ ...listens, ...part }] };
    }),
  };
}
