/** A node's part in the consortium engine: its two keys, and what the policy says of it (docs/spec/genesis.md). */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { privateKey, sha256 } from '#crypto';
import { hex, utf8 } from '../bytes.ts';
import { encodePrivateKey } from '../cose/key.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { replaceDurably } from '../ledger/durable-file.ts';
import type { EngineMember } from '../registry/orderer.ts';
import { readNodeKeys, type EngineKeys } from './config.ts';

/** What a member list says of a node's part. */
export interface PlannedMember {
  /** HOST:PORT at which the other members reach its engine. */
  readonly address: string;
  /** True unless said otherwise: one node of an operator. */
  readonly validator?: boolean;
}

export function engineKeys(): EngineKeys {
  const fresh = (): PrivateKey => privateKey('Ed25519', new Uint8Array(randomBytes(32)));
  return { consensus: fresh(), peer: fresh() };
}

/** The two fields of keys.json. */
export function engineKeysJson({ consensus, peer }: EngineKeys): Readonly<Record<string, string>> {
  return { consensus: hex(encodePrivateKey(consensus)), peer: hex(encodePrivateKey(peer)) };
}

/**
 * The engine's keys of a node's key file; makes them where there are none and keeps everything else in the file.
 * Errors: NODE_CONFIG.
 */
export function ensureEngineKeys(path: string): EngineKeys {
  const present = readNodeKeys(path).engine;
  if (present) return present;
  const made = engineKeys();
  const json = { ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...engineKeysJson(made) };
  replaceDurably(path, utf8(`${JSON.stringify(json, null, 2)}\n`));
  return made;
}

/** CometBFT's node id: the first 20 bytes of the SHA-256 of the p2p key. */
export function peerId({ peer }: Pick<EngineKeys, 'peer'>): Uint8Array {
  return sha256(peer.publicKey.bytes).subarray(0, 20);
}

/** `name`: OPERATOR/NODE. */
export function memberOf(
  name: string,
  keys: EngineKeys,
  { address, validator = true }: PlannedMember,
): EngineMember {
  const [operator = '', node = ''] = name.split('/');
  return {
    operator,
    node,
    key: keys.consensus.publicKey,
    peer: peerId(keys),
    address,
    validator,
  };
}
