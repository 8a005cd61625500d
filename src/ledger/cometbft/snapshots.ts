/** State sync: snapshots that are given to a node without blocks, and one that this node begins with (T15). */
import {
  ResponseApplySnapshotChunk_Result as ApplyResult,
  ResponseOfferSnapshot_Result as OfferResult,
} from '../../proto/tendermint/abci/types_pb.js';
import type { Answer, Call } from './abci-server.ts';

export type SnapshotCall = Extract<
  Call,
  {
    readonly case: 'listSnapshots' | 'offerSnapshot' | 'loadSnapshotChunk' | 'applySnapshotChunk';
  }
>;

export interface Snapshots {
  answer(call: SnapshotCall): Answer | Promise<Answer>;
}

/** Neither gives nor takes any. */
export const NO_SNAPSHOTS: Snapshots = {
  answer(call): Answer {
    switch (call.case) {
      case 'listSnapshots':
        return { case: 'listSnapshots', value: { snapshots: [] } };
      case 'loadSnapshotChunk':
        return { case: 'loadSnapshotChunk', value: {} };
      case 'offerSnapshot':
        return { case: 'offerSnapshot', value: { result: OfferResult.ABORT } };
      case 'applySnapshotChunk':
      default:
        return { case: 'applySnapshotChunk', value: { result: ApplyResult.ABORT } };
    }
  },
};
