/** A CometBFT validator set: order, addresses, hash. */
import { sha256 } from '#crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { compare, hex } from '../bytes.ts';
import { checkPublicKey, type PublicKey } from '../crypto/key.ts';
import { check, codeOf, fail } from '../errors.ts';
import { SimpleValidatorSchema } from '../proto/tendermint/types/validator_pb.js';
import { ADDRESS_LENGTH } from './header.ts';
import { merkleRoot } from './merkle-root.ts';

/** `key`: Ed25519; `power`: votes, above 0. */
export interface Validator {
  readonly key: PublicKey;
  readonly power: bigint;
}

/** One member of a checked set. */
export interface Member extends Validator {
  readonly address: Uint8Array;
}

/** Members in CometBFT's order, which is also the order of votes in a commit; `power`: of all together. */
export interface ValidatorSet {
  readonly members: readonly Member[];
  readonly power: bigint;
}

/** What a 64 KiB certificate has room for, and more than any consortium. */
const MAX_VALIDATORS = 400;
/** CometBFT: MaxTotalVotingPower. */
const MAX_POWER = (2n ** 63n - 1n) / 8n;

/** First 20 bytes of SHA-256 of the key. */
export function validatorAddress(key: PublicKey): Uint8Array {
  return sha256(key.bytes).subarray(0, ADDRESS_LENGTH);
}

/**
 * The set that these validators are, whatever order they come in. Errors: COMMIT_SET_INVALID (none, too
 * many, one twice, a power that is not above 0 or too large together, a key that is no Ed25519 key).
 */
export function validatorSet(list: readonly Validator[]): ValidatorSet {
  const size = list.length > 0 && list.length <= MAX_VALIDATORS;
  check(size, 'COMMIT_SET_INVALID', `${list.length} validators`);
  let power = 0n;
  const seen = new Set<string>();
  const members = list.map(({ key, power: own }) => {
    checkKey(key);
    check(own > 0n && own <= MAX_POWER, 'COMMIT_SET_INVALID', 'a power that is not above 0');
    power += own;
    const address = validatorAddress(key);
    const name = hex(address);
    check(!seen.has(name), 'COMMIT_SET_INVALID', 'a validator that is in the set twice');
    seen.add(name);
    return { key, power: own, address };
  });
  check(power <= MAX_POWER, 'COMMIT_SET_INVALID', 'more power than CometBFT counts');
  // CometBFT: ValidatorsByVotingPower.
  members.sort((a, b) =>
    a.power === b.power ? compare(a.address, b.address) : a.power > b.power ? -1 : 1,
  );
  return { members, power };
}

function checkKey(key: PublicKey): void {
  check(key.curve === 'Ed25519', 'COMMIT_SET_INVALID', 'a validator key is Ed25519');
  try {
    checkPublicKey(key);
  } catch (error) {
    if (codeOf(error) !== 'CRYPTO_KEY_INVALID') throw error;
    fail('COMMIT_SET_INVALID', 'a validator key is not valid', {}, error);
  }
}

/** What a header calls `validators_hash`. */
export function setHash(set: ValidatorSet): Uint8Array {
  return merkleRoot(
    set.members.map(({ key, power }) =>
      toBinary(
        SimpleValidatorSchema,
        create(SimpleValidatorSchema, {
          pubKey: { sum: { case: 'ed25519', value: key.bytes } },
          votingPower: power,
        }),
      ),
    ),
  );
}

/** `validators_hash` of a list in any order. Errors: COMMIT_SET_INVALID. */
export function validatorsHash(list: readonly Validator[]): Uint8Array {
  return setHash(validatorSet(list));
}
