/** The engine's folder: configuration, genesis and keys, all of which follow from the policy and this node's keys. */
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { equal, hex, utf8 } from '../../bytes.ts';
import type { PrivateKey, PublicKey } from '../../crypto/key.ts';
import { check } from '../../errors.ts';
import { MAX_BLOCK } from '../../registry/block.ts';
import { MAX_GROUP } from '../../registry/group.ts';
import { memberName, type EngineMember } from '../../registry/orderer.ts';
import { readIfThere, replaceDurably } from '../durable-file.ts';
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

/** Twenty bytes: how CometBFT names a key, and a peer by its key. */
export function addressOf(key: PublicKey): Uint8Array {
  return sha256(key.bytes).subarray(0, 20);
}

/**
 * Writes what the engine reads at its start; a key or chain that is there already must be the same. What the engine
 * itself keeps is left alone. Errors: ENGINE_HOME_FOREIGN.
 */
export async function prepareHome(options: HomeOptions): Promise<void> {
  const { home, consensusKey, nodeKey } = options;
  await mkdir(join(home, 'config'), { recursive: true, mode: 0o700 });
  await mkdir(join(home, 'data'), { recursive: true, mode: 0o700 });
  kept(join(home, 'config', 'priv_validator_key.json'), validatorKeyText(consensusKey));
  kept(join(home, 'config', 'node_key.json'), nodeKeyText(nodeKey));
  kept(join(home, 'config', 'genesis.json'), genesisText(options.start));
  replaceDurably(join(home, 'config', 'config.toml'), utf8(configText(options)));
  const state = join(home, 'data', 'priv_validator_state.json');
  // What was signed last: never replaced, or the same key could sign two blocks of one height.
  if (!readIfThere(state)) replaceDurably(state, utf8(json({ height: '0', round: 0, step: 0 })));
}

/** Whether the engine has blocks of its own. */
export async function hasBlocks(home: string): Promise<boolean> {
  try {
    return (await stat(join(home, 'data', 'blockstore.db'))).isDirectory();
  } catch {
    return false;
  }
}

const ENGINE_DATA = ['blockstore.db', 'state.db', 'tx_index.db', 'evidence.db', 'cs.wal'];

/** Takes away everything that the engine can get again from its peers; what it signed last stays. */
export async function wipeBlocks(home: string): Promise<void> {
  const gone = join(home, 'data', 'wiped');
  await rm(gone, { recursive: true, force: true });
  await mkdir(gone, { mode: 0o700 });
  for (const name of ENGINE_DATA) {
    // All or none would be better than a rename each, but the block store goes first: without it nothing else is read.
    await rename(join(home, 'data', name), join(gone, name)).catch(() => undefined);
  }
  await rm(gone, { recursive: true, force: true });
}

function kept(file: string, text: string): void {
  const bytes = utf8(text);
  const there = readIfThere(file);
  check(
    there === undefined || equal(there, bytes),
    'ENGINE_HOME_FOREIGN',
    undefined,
    there ? { file } : {},
  );
  if (!there) replaceDurably(file, bytes);
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function publicText(key: PublicKey): { readonly type: string; readonly value: string } {
  return { type: 'tendermint/PubKeyEd25519', value: key.bytes.toBase64() };
}

function privateText(key: PrivateKey): { readonly type: string; readonly value: string } {
  const both = new Uint8Array(64);
  both.set(key.secret);
  both.set(key.publicKey.bytes, 32);
  return { type: 'tendermint/PrivKeyEd25519', value: both.toBase64() };
}

function validatorKeyText(key: PrivateKey): string {
  return json({
    address: hex(addressOf(key.publicKey)).toUpperCase(),
    pub_key: publicText(key.publicKey),
    priv_key: privateText(key),
  });
}

function nodeKeyText(key: PrivateKey): string {
  return json({ priv_key: privateText(key) });
}

/** The chain's first state, as each member derives it: equal bytes on all of them. */
export function genesisText(start: ChainStart): string {
  return json({
    genesis_time: new Date(start.time * 1000).toISOString(),
    chain_id: start.chainId,
    initial_height: '1',
    consensus_params: {
      block: { max_bytes: String(MAX_BLOCK), max_gas: '-1' },
      evidence: {
        max_age_num_blocks: '100000',
        max_age_duration: '172800000000000',
        max_bytes: '1048576',
      },
      validator: { pub_key_types: ['ed25519'] },
      version: { app: '1' },
      abci: { vote_extensions_enable_height: '0' },
    },
    validators: start.validators.map(({ key, power }) => ({
      address: hex(addressOf(key)).toUpperCase(),
      pub_key: publicText(key),
      power: String(power),
      name: '',
    })),
    app_hash: hex(start.appHash).toUpperCase(),
  });
}

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
      // What the ledger came to refuse meanwhile is refused in its block: to ask again for all that waits after each
      // block would cost more than everything else.
      recheck: false,
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
