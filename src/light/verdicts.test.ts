/** What CometBFT's own light client says of headers made at random, most of them wrong in one place. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { codeOf, type Code } from '../errors.ts';
import { decodeCertificate, type Certificate } from './certificate.ts';
import { trustKept, verifyLater } from './light-block.ts';
import { certificateFromRpc, validatorsFromRpc } from './rpc-json.ts';
import type { Validator } from './validators.ts';

interface Case {
  readonly name: string;
  readonly trusted: unknown;
  readonly trustedValidators: unknown;
  readonly untrusted: unknown;
  readonly untrustedValidators: unknown;
  readonly now: number;
  readonly verdict: 'SUCCESS' | 'NOT_ENOUGH_TRUST' | 'INVALID';
}

const path = join(import.meta.dirname, '../../test/vectors/cometbft/verdicts.json');
const cases = JSON.parse(readFileSync(path, 'utf8')) as readonly Case[];
const CHAIN = 'verdicts';
const OPTIONS = { chainId: CHAIN, trustingPeriod: 3600, maxClockDrift: 10 };

function certificateOf(signed: unknown): Certificate {
  return decodeCertificate(certificateFromRpc({ signed_header: signed }));
}

function validatorsOf(validators: unknown): readonly Validator[] {
  return validatorsFromRpc({ validators, total: '0' }).validators;
}

function codeFor(one: Case): Code | undefined {
  const before = validatorsOf(one.trustedValidators);
  const trusted = trustKept(certificateOf(one.trusted), before, CHAIN);
  try {
    const certificate = certificateOf(one.untrusted);
    const validators = validatorsOf(one.untrustedValidators);
    verifyLater(trusted, { certificate, validators }, OPTIONS, one.now);
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    return code;
  }
}

suite('verdicts of CometBFT', () => {
  for (const [index, one] of cases.entries())
    test(`${index}: ${one.name}: ${one.verdict}`, () => {
      const code = codeFor(one);
      if (one.verdict === 'SUCCESS') assert.equal(code, undefined);
      else if (one.verdict === 'INVALID') assert.ok(code !== undefined && code !== 'LIGHT_TRUST');
      // It counts before it verifies, so a bad vote among too few is too few there.
      else assert.ok(code === 'LIGHT_TRUST' || code === 'COMMIT_SIGNATURE_INVALID');
    });
  test('there are enough of each', () => {
    for (const verdict of ['SUCCESS', 'NOT_ENOUGH_TRUST', 'INVALID'])
      assert.ok(cases.filter((one) => one.verdict === verdict).length >= 25, verdict);
  });
});
