/** Who takes part in the demo's network: two operators that publish too, two that do not. */
import type { NetworkPlan } from '../../node/setup.ts';
import type { Role } from '../../registry/policy.ts';

/** The author's own node: the one that dies. */
export const AUTHORS_NODE = 'acme/one';
/** Of the operators left then, the one through which the author publishes on. */
export const OTHER_NODE = 'birch/one';
export const ARCHIVE_NODE = 'city/one';
export const ORDERER = 'dune/one';
/** Whom the operators put in its place. */
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

/** Quorum 3 of 4 operators; an image on 3 of them, 2 not the author's. */
export function demoPlan(ports: readonly number[]): NetworkPlan {
  return {
    mode: 'consortium',
    quorum: 3,
    copies: 3,
    copiesElsewhere: 2,
    threshold: 3,
    maxAge: 86_400,
    maxHold: 43_200,
    skew: 300,
    orderer: ORDERER,
    operators: MEMBERS.map(({ name, kind, roles }, i) => {
      const port = ports[i] as number;
      const url = `https://127.0.0.1:${port}`;
      return { name, kind, nodes: [{ name: 'one', roles, url, host: '127.0.0.1', port }] };
    }),
  };
}
