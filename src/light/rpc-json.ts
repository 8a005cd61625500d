/** What CometBFT's RPC answers, as plain data: int64 are strings, hashes hex, keys and signatures base64. */
import { create } from '@bufbuild/protobuf';
import { fromBase64, fromHex } from '../bytes.ts';
import { check, codeOf, fail } from '../errors.ts';
import { SignedHeaderSchema } from '../proto/tendermint/types/types_pb.js';
import { encodeCertificate, MAX_CERTIFICATE, readCertificate } from './certificate.ts';
import { wireTime, type Time } from './header.ts';
import type { Validator } from './validators.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * The certificate in a result of RPC `/commit`. Nothing is verified. Errors: COMMIT_MALFORMED.
 */
export function certificateFromRpc(result: unknown): Uint8Array {
  const signed = object(object(result, 'result')['signed_header'], 'signed_header');
  const header = object(signed['header'], 'header');
  const version = object(header['version'], 'version');
  const commit = object(signed['commit'], 'commit');
  const wire = create(SignedHeaderSchema, {
    header: {
      // CometBFT leaves `app` out when it is 0.
      version: { block: integer(version['block']), app: integer(version['app'] ?? '0') },
      chainId: string(header['chain_id'], 'chain_id'),
      height: integer(header['height']),
      time: wireTime(time(header['time'])),
      lastBlockId: blockId(header['last_block_id']),
      lastCommitHash: hexBytes(header['last_commit_hash']),
      dataHash: hexBytes(header['data_hash']),
      validatorsHash: hexBytes(header['validators_hash']),
      nextValidatorsHash: hexBytes(header['next_validators_hash']),
      consensusHash: hexBytes(header['consensus_hash']),
      appHash: hexBytes(header['app_hash']),
      lastResultsHash: hexBytes(header['last_results_hash']),
      evidenceHash: hexBytes(header['evidence_hash']),
      proposerAddress: hexBytes(header['proposer_address']),
    },
    commit: {
      height: integer(commit['height']),
      round: small(commit['round'], 'round'),
      blockId: blockId(commit['block_id']),
      signatures: array(commit['signatures'], 'signatures').map((each) => {
        const vote = object(each, 'vote');
        return {
          blockIdFlag: small(vote['block_id_flag'], 'block_id_flag'),
          validatorAddress: hexBytes(vote['validator_address']),
          timestamp: wireTime(time(vote['timestamp'])),
          signature: vote['signature'] === null ? new Uint8Array() : base64Bytes(vote['signature']),
        };
      }),
    },
  });
  const bytes = encodeCertificate(readCertificate(wire));
  check(bytes.length <= MAX_CERTIFICATE, 'COMMIT_MALFORMED', 'longer than a certificate may be');
  return bytes;
}

/** One page of RPC `/validators`, and how many there are in all. Errors: COMMIT_MALFORMED. */
export function validatorsFromRpc(result: unknown): {
  readonly validators: readonly Validator[];
  readonly total: number;
} {
  const page = object(result, 'result');
  const validators = array(page['validators'], 'validators').map((each): Validator => {
    const validator = object(each, 'validator');
    const key = object(validator['pub_key'], 'pub_key');
    const known = key['type'] === 'tendermint/PubKeyEd25519';
    check(known, 'COMMIT_MALFORMED', 'a validator key is Ed25519');
    const bytes = base64Bytes(key['value']);
    return { key: { curve: 'Ed25519', bytes }, power: integer(validator['voting_power']) };
  });
  return { validators, total: Number(integer(page['total'])) };
}

function blockId(value: unknown): {
  readonly hash: Uint8Array;
  readonly partSetHeader: { readonly total: number; readonly hash: Uint8Array };
} {
  const id = object(value, 'block id');
  const parts = object(id['parts'], 'parts');
  return {
    hash: hexBytes(id['hash']),
    partSetHeader: { total: small(parts['total'], 'total'), hash: hexBytes(parts['hash']) },
  };
}

/** RFC 3339 in UTC. The nanoseconds never pass through a Date, which has milliseconds. */
function time(value: unknown): Time {
  const pattern = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/;
  const match = pattern.exec(string(value, 'time'));
  const seconds = Date.parse(`${match?.[1] ?? ''}Z`) / 1000;
  check(Number.isSafeInteger(seconds), 'COMMIT_MALFORMED', 'no time in UTC');
  return { seconds: BigInt(seconds), nanos: Number((match?.[2] ?? '').padEnd(9, '0')) };
}

function integer(value: unknown): bigint {
  const text = string(value, 'integer');
  check(/^-?\d{1,19}$/.test(text), 'COMMIT_MALFORMED', 'no integer');
  const number = BigInt(text);
  check(number === BigInt.asIntN(64, number), 'COMMIT_MALFORMED', 'an integer beyond 64 bits');
  check(number >= 0n, 'COMMIT_MALFORMED', 'an integer below 0');
  return number;
}

function small(value: unknown, what: string): number {
  const fits = typeof value === 'number' && Number.isInteger(value) && value >= 0;
  check(fits && value < 2 ** 31, 'COMMIT_MALFORMED', `${what} is no small integer`);
  return value;
}

function hexBytes(value: unknown): Uint8Array {
  return decoded(() => fromHex(string(value, 'hex')));
}

function base64Bytes(value: unknown): Uint8Array {
  return decoded(() => fromBase64(string(value, 'base64')));
}

function decoded(read: () => Uint8Array): Uint8Array {
  try {
    return read();
  } catch (error) {
    if (codeOf(error) !== 'BYTES_MALFORMED') throw error;
    return fail('COMMIT_MALFORMED', 'not hex or base64', {}, error);
  }
}

function string(value: unknown, what: string): string {
  check(typeof value === 'string', 'COMMIT_MALFORMED', `${what} is no text`);
  return value;
}

function object(value: unknown, what: string): Json {
  const plain = typeof value === 'object' && value !== null && !Array.isArray(value);
  check(plain, 'COMMIT_MALFORMED', `${what} is no object`);
  return value as Json;
}

function array(value: unknown, what: string): readonly unknown[] {
  check(Array.isArray(value), 'COMMIT_MALFORMED', `${what} is no list`);
  return value;
}
