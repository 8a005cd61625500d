/** Mutations of what a node checks beyond its ledger: cosignatures, receipts, peers, images. */
import type { Mutation } from './mutations.ts';

const HEADS = 'src/node/heads.ts';
const READING = ['test/e2e/reading.test.ts'];

function mutations(
  rule: string,
  file: string,
  tests: readonly string[],
  pairs: readonly (readonly [find: string, replace: string])[],
): readonly Mutation[] {
  return pairs.map(([find, replace]) => ({ rule, file, find, replace, tests }));
}

export const NODE_MUTATIONS: readonly Mutation[] = [
  ...mutations(
    'T09',
    HEADS,
    ['src/node/heads.test.ts'],
    [
      ['if (byOperator.size < quorum) return undefined;', ''],
      ['const operator = operatorOf(cosignature.name);', 'const operator = cosignature.name;'],
      [
        'if (!cosignature || !equal(cosignature.root, head.root)) continue;',
        'if (!cosignature) continue;',
      ],
      ['if (heads.size > MAX_A_SIGNER)', 'if (false)'],
    ],
  ),
  ...mutations(
    'T10',
    HEADS,
    ['src/node/heads.test.ts'],
    [['this.#checkAgainstOwn(size, root);', '']],
  ),
  ...mutations(
    'T13',
    HEADS,
    ['src/node/heads.test.ts'],
    [['const receipted = own && equal(own.root, found.head.root) ?', 'const receipted = true ?']],
  ),
  ...mutations('T12', 'src/node/peer-routes.ts', READING, [
    ["check(isPeer(parts.root(), request), 'NODE_PEER_UNKNOWN');", ''],
  ]),
  ...mutations('T16', 'src/node/image-store.ts', READING, [
    ['wanted.length > 0 &&', ''],
    ['if (candidate.image.complete) return candidate;', 'return candidate;'],
  ]),
];
