/** Verdicts of tendermint-rs' model of the light client, generated from its TLA+ specification. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { codeOf } from '../errors.ts';
import { decodeCertificate, type Certificate } from './certificate.ts';
import { trustKept, verifyLater } from './light-block.ts';
import { certificateFromRpc, validatorsFromRpc } from './rpc-json.ts';
import type { Validator } from './validators.ts';

type Json = Readonly<Record<string, unknown>>;

interface Case {
  readonly description: string;
  readonly initial: Json & { readonly signed_header: Json; readonly trusting_period: string };
  readonly input: readonly {
    readonly block: Json & { readonly signed_header: Json };
    readonly now: string;
    readonly verdict: 'SUCCESS' | 'NOT_ENOUGH_TRUST' | 'INVALID';
  }[];
}

const path = join(import.meta.dirname, '../../test/vectors/cometbft/single-step.json');
const cases = JSON.parse(readFileSync(path, 'utf8')) as readonly Case[];
const CHAIN = 'test-chain';
const NO_BLOCK = { hash: '', parts: { total: 0, hash: '' } };

const ABSENT = 1;

/** The vectors write null where CometBFT's RPC writes what is empty, and 1970 where Go has its zero time. */
function filled(value: unknown, name = ''): unknown {
  if (value === null && name === 'last_block_id') return NO_BLOCK;
  if (value === null) return '';
  if (Array.isArray(value)) return value.map((each) => filled(each));
  if (typeof value !== 'object' || value === null) return value;
  if ('block_id_flag' in value && value.block_id_flag === ABSENT)
    return { ...value, timestamp: '0001-01-01T00:00:00Z', signature: null };
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, filled(each, key)]));
}

function certificateOf(signedHeader: Json): Certificate {
  return decodeCertificate(certificateFromRpc(filled({ signed_header: signedHeader })));
}

function validatorsOf(set: unknown): readonly Validator[] {
  return validatorsFromRpc({ ...(set as Json), total: '0' }).validators;
}

suite('single steps of a light client', () => {
  for (const { description, initial, input } of cases)
    test(description, () => {
      const options = {
        chainId: CHAIN,
        trustingPeriod: Number(BigInt(initial.trusting_period) / 1_000_000_000n),
        maxClockDrift: 0,
      };
      const start = validatorsOf(initial['next_validator_set']);
      let trusted = trustKept(certificateOf(initial.signed_header), start, CHAIN);
      for (const { block, now, verdict } of input) {
        let code: string | undefined;
        try {
          const certificate = certificateOf(block.signed_header);
          const validators = validatorsOf(block['validator_set']);
          verifyLater(trusted, { certificate, validators }, options, Date.parse(now) / 1000);
          const next = validatorsOf(block['next_validator_set']);
          trusted = trustKept(certificate, next, CHAIN);
        } catch (error) {
          code = codeOf(error);
          if (code === undefined) throw error;
        }
        const said =
          code === undefined ? 'SUCCESS' : code === 'LIGHT_TRUST' ? 'NOT_ENOUGH_TRUST' : 'INVALID';
        assert.equal(said, verdict, `${code} at ${now}`);
      }
    });
});
