/**
 * Who orders the blocks: one node, or the members of a CometBFT chain of which more than two thirds of the validators
 * agree on each block (docs/spec/genesis.md, "Engine").
 */
import { checkPublicKey } from '#crypto';
import { hex } from '../bytes.ts';
import { asArray, asBool, asBytes, asText, asUint } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check, fail } from '../errors.ts';

/** A node that takes part in the consortium engine; only validators vote. */
export interface EngineMember {
  readonly operator: string;
  readonly node: string;
  /** Ed25519: signs votes. */
  readonly key: PublicKey;
  /** CometBFT's node id: the first 20 bytes of the SHA-256 of its p2p key. */
  readonly peer: Uint8Array;
  /** HOST:PORT of its p2p listener. */
  readonly address: string;
  readonly validator: boolean;
}

export interface LocalOrderer {
  readonly engine: 'local';
  readonly operator: string;
  readonly node: string;
}

export interface ConsortiumOrderer {
  readonly engine: 'cometbft';
  /** The policy version at which this CometBFT chain began. */
  readonly chain: number;
  /** Sorted by OPERATOR/NODE. */
  readonly members: readonly EngineMember[];
}

export type Orderer = LocalOrderer | ConsortiumOrderer;

/** A voter; structurally what src/light checks commits with. */
export interface Vote {
  readonly key: PublicKey;
  readonly power: bigint;
}

// An operator's further nodes may be members without a vote.
const MAX_MEMBERS = 128;
const MAX_ADDRESS = 128;
const ADDRESS = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]{2,39}\]):([1-9][0-9]{0,4})$/;

export function memberName({ operator, node }: EngineMember): string {
  return `${operator}/${node}`;
}

/** The CometBFT chain's id: at most 50 characters. */
export function chainIdOf(networkId: Uint8Array, chain: number): string {
  return `firmament-${hex(networkId).slice(0, 32)}-${chain}`;
}

// All have the same. With 1, CometBFT (blocksync, localNodeBlocksTheChain) takes a third of four or five for 1 and each
// of them for a third, and one that slept leaves its block sync at once, for a way that is ten times as slow.
const POWER = 10n;

/** The voters, each with the power 10: an operator has one at most. */
export function validatorsOf({ members }: ConsortiumOrderer): readonly Vote[] {
  return members.filter(({ validator }) => validator).map(({ key }) => ({ key, power: POWER }));
}

/** What CometBFT is told of a change of policy: power 0 takes a voter away. */
export function validatorUpdates(
  before: ConsortiumOrderer,
  after: ConsortiumOrderer,
): readonly Vote[] {
  const old = validatorsOf(before);
  const next = validatorsOf(after);
  return [
    ...old.filter((vote) => !isAmong(next, vote)).map(({ key }) => ({ key, power: 0n })),
    ...next.filter((vote) => !isAmong(old, vote)),
  ];
}

function isAmong(votes: readonly Vote[], { key }: Vote): boolean {
  return votes.some((vote) => hex(vote.key.bytes) === hex(key.bytes));
}

export function ordererToCbor(orderer: Orderer): Cbor {
  if (orderer.engine === 'local') return [orderer.engine, orderer.operator, orderer.node];
  return [
    orderer.engine,
    orderer.chain,
    orderer.members.map(({ operator, node, key, peer, address, validator }) => [
      operator,
      node,
      key.bytes,
      peer,
      address,
      validator,
    ]),
  ];
}

/** Errors: CBOR_TYPE, CRYPTO_KEY_INVALID, POLICY_MALFORMED. */
export function parseOrderer(value: Cbor): Orderer {
  const [engine, second = null, third = null] = asArray(value, 'engine', 3);
  if (engine === 'local')
    return {
      engine,
      operator: asText(second, 'orderer operator', 32),
      node: asText(third, 'orderer node', 32),
    };
  check(engine === 'cometbft', 'POLICY_MALFORMED', 'unknown engine');
  const members = asArray(third, 'engine members');
  check(members.length <= MAX_MEMBERS, 'POLICY_MALFORMED', 'too many engine members');
  return { engine, chain: asUint(second, 'chain'), members: members.map(parseMember) };
}

function parseMember(value: Cbor): EngineMember {
  const row = asArray(value, 'engine member', 6);
  const key: PublicKey = {
    curve: 'Ed25519',
    bytes: asBytes(row[2] ?? null, 'consensus key', 32),
  };
  checkPublicKey(key);
  return {
    operator: asText(row[0] ?? null, 'member operator', 32),
    node: asText(row[1] ?? null, 'member node', 32),
    key,
    peer: asBytes(row[3] ?? null, 'p2p id', 20),
    address: asText(row[4] ?? null, 'p2p address', MAX_ADDRESS),
    validator: asBool(row[5] ?? null, 'validator'),
  };
}

/** What a policy must satisfy as to its engine. Errors: POLICY_MALFORMED, POLICY_QUORUM, POLICY_KEY_REUSED. */
export function checkOrderer(
  orderer: Orderer,
  policy: { readonly version: number; readonly trial: boolean; readonly nodes: readonly string[] },
): void {
  if (orderer.engine === 'local') {
    const name = `${orderer.operator}/${orderer.node}`;
    check(policy.nodes.includes(name), 'POLICY_MALFORMED', 'the orderer is not a listed node');
    return;
  }
  const { chain, members } = orderer;
  check(chain >= 1 && chain <= policy.version, 'POLICY_MALFORMED', 'a chain of a later policy');
  const names = members.map(memberName);
  for (const [i, name] of names.entries()) {
    check(policy.nodes.includes(name), 'POLICY_MALFORMED', `no listed node: ${name}`);
    const sorted = i === 0 || (names[i - 1] as string) < name;
    check(sorted, 'POLICY_MALFORMED', 'engine members are sorted by name, each once');
  }
  for (const { address } of members) checkAddress(address);
  distinct(
    members.map(({ address }) => address),
    'p2p address',
  );
  distinct(
    members.map(({ peer }) => hex(peer)),
    'p2p id',
  );
  checkValidators(members, policy.trial);
}

// f counts operators: one with two votes would be two that fail together (T09).
function checkValidators(members: readonly EngineMember[], trial: boolean): void {
  const operators = members.filter(({ validator }) => validator).map(({ operator }) => operator);
  check(
    new Set(operators).size === operators.length,
    'POLICY_QUORUM',
    'an operator has one validator at most',
  );
  check(operators.length >= (trial ? 1 : 4), 'POLICY_QUORUM', 'fewer than four validators');
}

/** HOST:PORT at which other members reach an engine. Errors: POLICY_MALFORMED. */
export function checkAddress(address: string): void {
  const port = Number(ADDRESS.exec(address)?.[1] ?? 0);
  check(
    port >= 1 && port <= 65_535,
    'POLICY_MALFORMED',
    `the address of an engine is host:port, not "${address}"`,
  );
}

function distinct(values: readonly string[], what: string): void {
  check(
    new Set(values).size === values.length,
    'POLICY_KEY_REUSED',
    `two members with one ${what}`,
  );
}

/**
 * Which engine may follow which, when policy `version` comes after the one before it.
 * Errors: POLICY_ENGINE.
 */
export function checkSuccession(before: Orderer, next: Orderer, version: number): void {
  if (next.engine === 'local') {
    check(before.engine === 'local', 'POLICY_ENGINE', 'no way back to the local engine');
    return;
  }
  if (before.engine === 'local') {
    check(next.chain === version, 'POLICY_ENGINE', 'a chain begins with the policy that brings it');
    return;
  }
  check(next.chain === before.chain, 'POLICY_ENGINE', 'the chain goes on');
  // CometBFT halts for good when more votes go at once than may be missing.
  const old = validatorsOf(before);
  const staying = old.filter((vote) => isAmong(validatorsOf(next), vote)).length;
  check(3 * staying >= 2 * old.length, 'POLICY_ENGINE', 'two thirds of the validators stay', {
    staying,
    validators: old.length,
  });
}

/** Errors: LEDGER_ENGINE when one node orders. */
export function consortiumOf(orderer: Orderer): ConsortiumOrderer {
  return orderer.engine === 'cometbft' ? orderer : fail('LEDGER_ENGINE');
}
