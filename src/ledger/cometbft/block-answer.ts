/** What the application says of a decided block: equal bytes on every member. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { fail } from '../../errors.ts';
import {
  ResponseFinalizeBlockSchema,
  type ResponseFinalizeBlock,
} from '../../proto/tendermint/abci/types_pb.js';
import { isNew, type Decision, type Outcome } from '../decision.ts';
import type { ParsedTransaction } from './transaction-cache.ts';

/** Codes of a transaction. */
export const ACCEPTED = 0;
export const REFUSED = 1;
/** Of CheckTx only: everything in it is on the ledger already. */
export const KNOWN = 2;

export interface AnsweredBlock {
  readonly answer: ResponseFinalizeBlock;
  /** What became of each transaction, by its id; of one that stands there twice, its first acceptance. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** Those that brought something new. */
  readonly ordered: readonly ParsedTransaction[];
}

/** `parsed`: one a transaction of the block, undefined for what is none; the decision is about the others. */
export function blockAnswer(
  parsed: readonly (ParsedTransaction | undefined)[],
  decision: Decision,
): AnsweredBlock {
  const outcomes = new Map<string, Outcome>();
  const ordered: ParsedTransaction[] = [];
  let at = 0;
  const txResults = parsed.map((each) => {
    if (!each) return { code: REFUSED, log: 'ENGINE_TRANSACTION' };
    const outcome = decision.outcomes[at++] ?? fail('LEDGER_GROUP_INVALID');
    const earlier = outcomes.get(each.id);
    if (!earlier || 'refused' in earlier) outcomes.set(each.id, outcome);
    // Code and data are part of what the members agree on; the log is not.
    if ('refused' in outcome) return { code: REFUSED, log: outcome.refused.code };
    if (isNew(outcome)) ordered.push(each);
    return { code: ACCEPTED };
  });
  const answer: MessageInitShape<typeof ResponseFinalizeBlockSchema> = {
    appHash: decision.appHash,
    txResults,
    // T08: a signed policy is the only thing that changes who votes.
    validatorUpdates: decision.validatorUpdates.map(({ key, power }) => ({
      pubKey: { sum: { case: 'ed25519', value: key.bytes } },
      power,
    })),
  };
  return { answer: create(ResponseFinalizeBlockSchema, answer), outcomes, ordered };
}
