/** The engine's folder: configuration, genesis and keys, all of which follow from the policy and this node's keys. */
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { equal, hex, utf8 } from '../../bytes.ts';
import type { PrivateKey, PublicKey } from '../../crypto/key.ts';
import { check } from '../../errors.ts';
import { MAX_BLOCK } from '../../registry/block.ts';
import { readIfThere, replaceDurably } from '../durable-file.ts';
import type { ChainStart } from './chain-start.ts';
import { configText, type HomeOptions } from './engine-config.ts';

/** Twenty bytes: how CometBFT names a key, and a peer by its key. */
export function addressOf(key: PublicKey): Uint8Array {
  return sha256(key.bytes).subarray(0, 20);
}

/**
 * Writes what the engine reads at its start; a key or chain that is there already must be the same. What the engine
 * itself keeps is left alone. Errors: ENGINE_HOME_FOREIGN, ENGINE_STATE_LOST.
 */
export async function prepareHome(options: HomeOptions): Promise<void> {
  const { home, consensusKey, nodeKey, hasVoted } = options;
  const state = join(home, 'data', 'priv_validator_state.json');
  const isNew = !readIfThere(state);
  if (isNew) check(!hasVoted(), 'ENGINE_STATE_LOST', undefined, { state });
  await mkdir(join(home, 'config'), { recursive: true, mode: 0o700 });
  await mkdir(join(home, 'data'), { recursive: true, mode: 0o700 });
  kept(join(home, 'config', 'priv_validator_key.json'), validatorKeyText(consensusKey));
  kept(join(home, 'config', 'node_key.json'), nodeKeyText(nodeKey));
  kept(join(home, 'config', 'genesis.json'), genesisText(options.start));
  replaceDurably(join(home, 'config', 'config.toml'), utf8(configText(options)));
  // What was signed last: never replaced, or the same key could sign two blocks of one height.
  if (isNew) replaceDurably(state, utf8(json({ height: '0', round: 0, step: 0 })));
}

/** Whether the engine has blocks of its own. */
export async function hasBlocks(home: string): Promise<boolean> {
  try {
    return (await stat(join(home, 'data', 'blockstore.db'))).isDirectory();
  } catch {
    return false;
  }
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
