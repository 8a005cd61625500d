/** What a Byzantine node does otherwise: edits of its own program, made while it is loaded. */

export const DEVIATIONS = ['wrong app hash', 'equivocating cosigner', 'censor', 'garbage'] as const;
export type Deviation = (typeof DEVIATIONS)[number];

export interface Edit {
  /** Below src. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const PROPOSAL = 'ledger/cometbft/proposal.ts';
const RETRIEVAL = 'node/retrieval-routes.ts';

/** `deviant` is what the program finds in its global scope (node.child.ts). */
export const EDITS: Readonly<Record<Deviation, readonly Edit[]>> = {
  'wrong app hash': [
    {
      file: 'ledger/cometbft/block-answer.ts',
      find: 'appHash: decision.appHash,',
      replace: 'appHash: globalThis.deviant.appHash(decision.appHash),',
    },
  ],
  'equivocating cosigner': [
    {
      file: 'node/cosigning.ts',
      find: 'for (const peer of peers.others()) {',
      replace:
        'globalThis.deviant.equivocate(cosignature, parts); for (const peer of peers.others()) {',
    },
  ],
  // Old proofs, no releases, and no statement in a block that it proposes.
  censor: [
    { file: 'node/answers.ts', find: 'this.#kept.clear();', replace: '' },
    {
      file: RETRIEVAL,
      find: 'const found = findRelease(parts, request.params.digest, line);',
      replace: "const found = fail('RELEASE_UNKNOWN');",
    },
    {
      file: PROPOSAL,
      find: 'return { taken, leftOut };',
      replace: 'return { taken: [], leftOut };',
    },
  ],
  // Blocks that nobody could read, forged and repeated statements, and whatever it is sent is passed on unchecked.
  garbage: [
    {
      file: PROPOSAL,
      find: 'return { taken, leftOut };',
      replace: 'return { taken: globalThis.deviant.garbage(taken), leftOut };',
    },
    {
      file: 'ledger/cometbft/application.ts',
      find: "if (!parsed) return checked(REFUSED, 'ENGINE_TRANSACTION');",
      replace: "if (!parsed) return checked(ACCEPTED, '');",
    },
  ],
};

/** Errors: when the program is not the one that the edit was written for. */
export function edited(source: string, { file, find, replace }: Edit): string {
  const parts = source.split(find);
  if (parts.length !== 2) throw new Error(`${file} has "${find}" ${parts.length - 1} times`);
  return parts.join(replace);
}
