/** config.toml of the engine: everything in it follows from the policy, this member and its folder. */
import { equal, hex } from '../../bytes.ts';
import type { PrivateKey } from '../../crypto/key.ts';
import { MAX_GROUP } from '../../registry/group.ts';
import { memberName, type EngineMember } from '../../registry/orderer.ts';
import type { ChainStart } from './chain-start.ts';
import { MAX_CALLS } from './rpc.ts';

export interface HomeOptions {
  readonly home: string;
  readonly start: ChainStart;
  /** The members now: who they connect to. */
  readonly members: readonly EngineMember[];
  readonly member: EngineMember;
  readonly consensusKey: PrivateKey;
  readonly nodeKey: PrivateKey;
  /** Whether the ledger here has a vote of this key: then the record of what it signed is somewhere. */
  readonly hasVoted: () => boolean;
  /** Path of the ABCI socket and of the RPC's. */
  readonly abci: string;
  readonly rpc: string;
  /** "host:port" to listen on for peers; the member's address when left out. */
  readonly listen?: string | undefined;
  /** Seconds between blocks with nothing in them. */
  readonly emptyEvery: number;
  readonly timing?: Partial<Timing> | undefined;
  readonly stateSync?: StateSync | undefined;
}

/** Milliseconds. */
export interface Timing {
  readonly commit: number;
  readonly propose: number;
  readonly vote: number;
}

/** Where a node without blocks gets its first state from. */
export interface StateSync {
  /** Two URLs of light client sources. */
  readonly servers: readonly string[];
  readonly trustHeight: number;
  /** Hash of that height's header. */
  readonly trustHash: Uint8Array;
  /** Seconds. */
  readonly trustPeriod: number;
}

const TIMING: Timing = { commit: 100, propose: 500, vote: 500 };

/** config.toml for CometBFT 0.38 and 0.39: what is left out has the same default in both, or is off. */
export function configText(options: HomeOptions): string {
  const { member, members, abci, rpc, listen, emptyEvery, stateSync } = options;
  const timing = { ...TIMING, ...options.timing };
  const peers = members
    .filter((each) => !equal(each.peer, member.peer))
    .map(({ peer, address }) => `${hex(peer)}@${address}`);
  const ids = peers.map((peer) => peer.slice(0, 40)).join(',');
  return toml({
    '': {
      proxy_app: `unix://${abci}`,
      abci: 'socket',
      moniker: memberName(member),
      db_backend: 'goleveldb',
      log_level: 'error',
      log_format: 'json',
      // Nobody connects but the members of the policy in force: asked of the application by Query.
      filter_peers: true,
    },
    rpc: {
      laddr: `unix://${rpc}`,
      unsafe: false,
      max_open_connections: 64,
      max_subscription_clients: 0,
      max_request_batch_size: MAX_CALLS,
      // Transactions in base64, in JSON.
      max_body_bytes: 2 * MAX_GROUP + (1 << 20),
    },
    p2p: {
      laddr: `tcp://${listen ?? member.address}`,
      external_address: member.address,
      persistent_peers: peers.join(','),
      unconditional_peer_ids: ids,
      private_peer_ids: ids,
      pex: false,
      addr_book_strict: false,
      allow_duplicate_ip: true,
      max_num_inbound_peers: 64,
      max_num_outbound_peers: 64,
      flush_throttle_timeout: '10ms',
      persistent_peers_max_dial_period: '5s',
      send_rate: 20_000_000,
      recv_rate: 20_000_000,
    },
    mempool: {
      size: 4096,
      cache_size: 16_384,
      max_txs_bytes: 64 << 20,
      max_tx_bytes: MAX_GROUP,
      // What a proposal left out is forgotten; the application answers for all else without a look.
      recheck: true,
    },
    statesync: stateSync
      ? {
          enable: true,
          rpc_servers: stateSync.servers.join(','),
          trust_height: stateSync.trustHeight,
          trust_hash: hex(stateSync.trustHash).toUpperCase(),
          trust_period: `${stateSync.trustPeriod}s`,
          discovery_time: '5s',
        }
      : { enable: false },
    consensus: {
      timeout_propose: `${timing.propose}ms`,
      timeout_propose_delta: '250ms',
      timeout_prevote: `${timing.vote}ms`,
      timeout_prevote_delta: '250ms',
      timeout_precommit: `${timing.vote}ms`,
      timeout_precommit_delta: '250ms',
      timeout_commit: `${timing.commit}ms`,
      create_empty_blocks: true,
      create_empty_blocks_interval: `${Math.max(1, Math.floor(emptyEvery))}s`,
      peer_gossip_sleep_duration: '10ms',
    },
    // Transactions are found by the replica.
    tx_index: { indexer: 'null' },
    instrumentation: { prometheus: false },
  });
}

type Toml = Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>;

// A JSON string is a TOML basic string: same quotes, same escapes.
function toml(sections: Toml): string {
  return Object.entries(sections)
    .map(([name, values]) =>
      [
        ...(name === '' ? [] : [`\n[${name}]`]),
        ...Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
        '',
      ].join('\n'),
    )
    .join('');
}
