/** Where a CometBFT chain begins in our ledger: derived by each member for itself, equal on all of them. */
import { chainIdOf, consortiumOf, validatorsOf, type Vote } from '../../registry/orderer.ts';
import { appHashOfHead, consortiumInForce } from '../proven-ledger.ts';
import type { Replica } from '../replica.ts';

export interface ChainStart {
  /** The policy version with which the chain begins. */
  readonly chain: number;
  readonly chainId: string;
  /** POSIX seconds: of our head before the chain's first block. */
  readonly time: number;
  readonly appHash: Uint8Array;
  readonly validators: readonly Vote[];
}

/** The chain that the policy in force names. Errors: LEDGER_ENGINE when one node orders. */
export function startOfChain(replica: Replica): ChainStart {
  const { chain } = consortiumInForce(replica);
  const head = replica.chainStart(chain);
  const { policy } = replica.policyOf(head.epoch.policyVersion);
  return {
    chain,
    chainId: chainIdOf(replica.genesis.networkId, chain),
    time: head.time,
    appHash: appHashOfHead(head),
    validators: validatorsOf(consortiumOf(policy.orderer)),
  };
}
