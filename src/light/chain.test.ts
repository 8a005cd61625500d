/** Chains that CometBFT itself made: every hash and every vote of theirs comes out the same here. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { toBinary } from '@bufbuild/protobuf';
import { hex } from '../bytes.ts';
import { CommitSigSchema } from '../proto/tendermint/types/types_pb.js';
import { appHashOf, decodeCertificate, heightOf, timeOf } from './certificate.ts';
import { wireCommit } from './commit.ts';
import { headerHash } from './header.ts';
import { verifyChain, type LightSource } from './light-client.ts';
import { merkleRoot } from './merkle-root.ts';
import { certificateFromRpc, validatorsFromRpc } from './rpc-json.ts';
import { validatorsHash } from './validators.ts';
import { verifyCommit } from './verify.ts';

interface Recorded {
  readonly chainId: string;
  readonly version: string;
  readonly blocks: readonly { readonly commit: unknown; readonly validators: unknown }[];
}

const VECTORS = join(import.meta.dirname, '../../test/vectors/cometbft');

for (const version of ['0.38', '0.39'])
  suite(`a chain of CometBFT ${version}`, () => {
    const path = join(VECTORS, `chain-${version}.json`);
    const { chainId, blocks } = JSON.parse(readFileSync(path, 'utf8')) as Recorded;
    const chain = blocks.map(({ commit, validators }) => ({
      bytes: certificateFromRpc(commit),
      ...decodeCertificate(certificateFromRpc(commit)),
      ...validatorsFromRpc(validators),
    }));

    test('every commit verifies, whatever order the validators come in', () => {
      for (const { header, commit, validators, total } of chain) {
        assert.equal(validators.length, total);
        verifyCommit({ header, commit }, validators, chainId);
        verifyCommit({ header, commit }, validators.toReversed(), chainId);
      }
    });

    test('headers link: block hash, set hash, commit hash', () => {
      for (const [index, { header, commit, validators }] of chain.entries()) {
        const next = chain[index + 1];
        if (next === undefined) continue;
        assert.deepEqual(headerHash(header), next.header.lastBlockId.hash);
        assert.deepEqual(validatorsHash(validators), header.validatorsHash);
        assert.deepEqual(validatorsHash(next.validators), header.nextValidatorsHash);
        // The next header commits to these votes byte by byte.
        const votes = wireCommit(commit).signatures.map((vote) => toBinary(CommitSigSchema, vote));
        assert.deepEqual(merkleRoot(votes), next.header.lastCommitHash);
      }
    });

    test('the facts of a certificate', () => {
      for (const [index, { bytes, header }] of chain.entries()) {
        const certificate = decodeCertificate(bytes);
        assert.equal(heightOf(certificate), index + 1);
        assert.equal(timeOf(certificate), Number(header.time.seconds));
        assert.equal(hex(appHashOf(certificate)), hex(header.appHash));
      }
    });

    test('bisection gets from the first header to the last, whose validators are others', async () => {
      const last = chain.at(-1);
      const first = chain[0];
      assert.ok(last !== undefined && first !== undefined);
      const options = { chainId, trustingPeriod: 3600, maxClockDrift: 10 };
      const now = timeOf(last) + 5;
      const asked: number[] = [];
      const source: LightSource = async (height) => {
        asked.push(Number(height));
        const { header, commit, validators } = chain[Number(height) - 1] as (typeof chain)[number];
        return { certificate: { header, commit }, validators };
      };
      const root = { height: 1n, hash: headerHash(first.header) };
      const trace = await verifyChain(root, last.header.height, source, options, now);
      assert.deepEqual(trace.at(-1), { header: last.header, commit: last.commit });
      assert.ok(trace.length > 2 && asked.length < chain.length, `${asked.length} headers`);
    });

    test('the recording has what it is for: absent votes, other sets, another size', () => {
      const sizes = new Set(chain.map(({ validators }) => validators.length));
      const sets = new Set(chain.map(({ header }) => hex(header.validatorsHash)));
      assert.ok(sizes.size >= 4 && sets.size >= 6);
      const kinds = chain.flatMap(({ commit }) => commit.votes.map(({ kind }) => kind));
      assert.ok(kinds.includes('absent'));
    });
  });
