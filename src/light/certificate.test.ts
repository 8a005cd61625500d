import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { sha256 } from '#crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { concat, utf8 } from '../bytes.ts';
import { codeOf } from '../errors.ts';
import { SignedHeaderSchema } from '../proto/tendermint/types/types_pb.js';
import { signedHeader, signer } from '../testing/commit-fixture.ts';
import { appHash } from './app-hash.ts';
import { decodeCertificate, encodeCertificate, heightOf, type Certificate } from './certificate.ts';
import { wireCommit, type Commit } from './commit.ts';
import { wireHeader, type Header } from './header.ts';
import { merkleRoot } from './merkle-root.ts';
import { certificateFromRpc, validatorsFromRpc } from './rpc-json.ts';

type Json = Record<string, unknown>;

const SIGNERS = ['a', 'b', 'c', 'd'].map((name) => signer(name));
const PLAN = { chainId: 'chain', height: 7n, time: 1_700_000_000, signers: SIGNERS };
const GOOD = signedHeader({ ...PLAN, does: (i) => (['commit', 'nil', 'absent'] as const)[i % 3]! });
const BYTES = encodeCertificate(GOOD);
const malformed = { code: 'COMMIT_MALFORMED' };

function refused(bytes: Uint8Array): void {
  assert.throws(() => decodeCertificate(bytes), malformed);
}

test('what a head is called in a header', () => {
  const head = { size: 5, root: new Uint8Array(32).fill(1), stateRoot: new Uint8Array(32).fill(2) };
  // CBOR [5, 32 bytes, 32 bytes], written out.
  const cbor = Uint8Array.fromHex(`83055820${'01'.repeat(32)}5820${'02'.repeat(32)}`);
  assert.deepEqual(appHash(head), sha256(concat(utf8('firmament/app/v1'), cbor)));
});

suite('a certificate in its one encoding', () => {
  test('comes out as it went in', () => {
    assert.deepEqual(decodeCertificate(BYTES), GOOD);
    assert.deepEqual(encodeCertificate(decodeCertificate(BYTES)), BYTES);
  });
  test('nothing behind it, nothing before it, nothing missing', () => {
    refused(new Uint8Array());
    refused(concat(BYTES, new Uint8Array([0])));
    refused(concat(BYTES, Uint8Array.fromHex('1a00'))); // an unknown field
    refused(concat(BYTES, Uint8Array.fromHex('1200'))); // the commit again, empty: it would merge
    refused(BYTES.subarray(0, -1));
    const header = toBinary(SignedHeaderSchema, part({ header: GOOD.header }));
    const commit = toBinary(SignedHeaderSchema, part({ commit: GOOD.commit }));
    decodeCertificate(concat(header, commit));
    refused(concat(commit, header));
    refused(header);
    refused(commit);
  });
  test('no longer integers than needed', () => {
    // The height, the first field of the commit: 08 07 becomes 08 87 00.
    const commit = toBinary(SignedHeaderSchema, part({ commit: GOOD.commit }));
    const at = commit.findIndex((byte, i) => byte === 8 && commit[i + 1] === 7);
    const inner = concat(commit.subarray(3, at), bytesOf('088700'), commit.subarray(at + 2));
    const header = toBinary(SignedHeaderSchema, part({ header: GOOD.header }));
    const length = new Uint8Array([(inner.length & 0x7f) | 0x80, inner.length >> 7]);
    refused(concat(header, bytesOf('12'), length, inner));
  });
  test('no more than 64 KiB', () => {
    const [vote] = GOOD.commit.votes;
    const votes = Array.from({ length: 700 }, () => vote as Commit['votes'][number]);
    refused(encodeCertificate({ ...GOOD, commit: { ...GOOD.commit, votes } }));
  });
  test('whatever bytes: a certificate or COMMIT_MALFORMED', () => {
    const edits = fc.array(
      fc.record({ at: fc.nat(BYTES.length - 1), byte: fc.integer({ min: 0, max: 255 }) }),
      { minLength: 1, maxLength: 4 },
    );
    const changed = edits.map((list) => {
      const bytes = BYTES.slice();
      for (const { at, byte } of list) bytes[at] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 300 })), (bytes) => {
        try {
          assert.deepEqual(encodeCertificate(decodeCertificate(bytes)), bytes);
        } catch (error) {
          if (codeOf(error) !== 'COMMIT_MALFORMED') throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex);
}

function part({ header, commit }: Partial<Certificate>) {
  return create(SignedHeaderSchema, {
    ...(header === undefined ? {} : { header: wireHeader(header) }),
    ...(commit === undefined ? {} : { commit: wireCommit(commit) }),
  });
}

suite('shapes that CometBFT refuses', () => {
  const header = (change: Partial<Header>): void =>
    refused(encodeCertificate({ ...GOOD, header: { ...GOOD.header, ...change } }));
  const commit = (change: Partial<Commit>): void =>
    refused(encodeCertificate({ ...GOOD, commit: { ...GOOD.commit, ...change } }));
  const SHORT = new Uint8Array(31);
  const NONE = new Uint8Array();

  test('headers', () => {
    header({ version: { block: 10n, app: 0n } });
    header({ chainId: 'c'.repeat(51) });
    header({ height: 0n });
    header({ height: -1n });
    header({ time: { seconds: 253_402_300_800n, nanos: 0 } });
    header({ time: { seconds: -62_135_596_801n, nanos: 0 } });
    header({ time: { seconds: 0n, nanos: 1_000_000_000 } });
    header({ time: { seconds: 0n, nanos: -1 } });
    header({ lastBlockId: { hash: SHORT, parts: { total: 0, hash: NONE } } });
    header({ lastBlockId: { hash: NONE, parts: { total: 0, hash: SHORT } } });
    header({ lastCommitHash: SHORT });
    header({ dataHash: SHORT });
    header({ validatorsHash: SHORT });
    header({ validatorsHash: NONE });
    header({ nextValidatorsHash: NONE });
    header({ consensusHash: SHORT });
    header({ lastResultsHash: SHORT });
    header({ evidenceHash: SHORT });
    header({ proposerAddress: new Uint8Array(19) });
  });
  test('commits', () => {
    const { blockId } = GOOD.commit;
    commit({ height: 0n });
    commit({ round: -1 });
    commit({ blockId: { hash: NONE, parts: { total: 0, hash: NONE } } });
    commit({ blockId: { ...blockId, hash: NONE } });
    commit({ blockId: { ...blockId, parts: { total: 0, hash: blockId.parts.hash } } });
    commit({ votes: [] });
  });
  test('votes', () => {
    const wire = part(GOOD);
    const vote = wire.commit?.signatures[0];
    const absent = wire.commit?.signatures[2];
    assert.ok(vote !== undefined && absent !== undefined && wire.commit !== undefined);
    const tries: readonly object[] = [
      { ...vote, blockIdFlag: 0 },
      { ...vote, blockIdFlag: 4 },
      { ...vote, validatorAddress: SHORT },
      { ...vote, signature: SHORT },
      { ...vote, signature: NONE },
      { ...vote, signature: new Uint8Array(65) },
      { ...absent, signature: vote.signature },
      { ...absent, validatorAddress: vote.validatorAddress },
      { ...absent, timestamp: vote.timestamp },
      { ...vote, blockIdFlag: 1 },
    ];
    for (const changed of tries) {
      wire.commit.signatures[0] = changed as typeof vote;
      refused(toBinary(SignedHeaderSchema, wire));
    }
    wire.commit.signatures[0] = vote;
    decodeCertificate(toBinary(SignedHeaderSchema, wire));
  });
  test('a height that is no safe integer is a certificate, but has no number', () => {
    const high = { ...GOOD, header: { ...GOOD.header, height: 2n ** 53n } };
    assert.throws(() => heightOf(high), malformed);
  });
});

test('the tree of a list', () => {
  const items = Array.from({ length: 9 }, (_, i) => new Uint8Array([i]));
  const roots = items.map((_, length) => merkleRoot(items.slice(0, length)).toHex());
  assert.equal(new Set(roots).size, items.length);
});

suite('answers of an RPC', () => {
  const path = join(import.meta.dirname, '../../test/vectors/cometbft/chain-0.39.json');
  const { blocks } = JSON.parse(readFileSync(path, 'utf8')) as {
    readonly blocks: readonly { readonly commit: Json; readonly validators: Json }[];
  };
  const { commit, validators } = blocks[9] as (typeof blocks)[number];

  /** Every value of a JSON document, with the document that has another in its place. */
  function* replaced(value: unknown, by: unknown): Generator {
    yield by;
    if (Array.isArray(value))
      for (const [index, each] of value.entries())
        for (const changed of replaced(each, by)) yield value.with(index, changed);
    else if (typeof value === 'object' && value !== null)
      for (const [key, each] of Object.entries(value))
        for (const changed of replaced(each, by)) yield { ...value, [key]: changed };
  }

  const HOSTILE = [
    null,
    undefined,
    0,
    -1,
    1.5,
    2 ** 40,
    '',
    'x',
    '-1',
    '1'.repeat(30),
    [],
    {},
    true,
  ];

  test('hostile ones end in COMMIT_MALFORMED or are read', () => {
    const outcomes = new Set<string>();
    for (const by of HOSTILE)
      for (const [read, document] of [
        [certificateFromRpc, commit],
        [validatorsFromRpc, validators],
      ] as const)
        for (const changed of replaced(document, by))
          try {
            read(changed);
            outcomes.add('read');
          } catch (error) {
            const code = codeOf(error);
            if (code === undefined) throw error;
            outcomes.add(code);
          }
    assert.deepEqual([...outcomes].toSorted(), ['COMMIT_MALFORMED', 'read']);
  });
  test('an absent vote has no contents', () => {
    const signed = commit['signed_header'] as Json;
    const votes = (signed['commit'] as Json)['signatures'] as readonly Json[];
    const { validator_address, timestamp, signature } = votes[0] as Json;
    for (const contents of [{ validator_address }, { timestamp }, { signature }]) {
      const changed = votes.map((vote) =>
        vote['block_id_flag'] === 1 ? { ...vote, ...contents } : vote,
      );
      const own = { ...(signed['commit'] as Json), signatures: changed };
      const document = { signed_header: { ...signed, commit: own } };
      assert.throws(() => certificateFromRpc(document), malformed);
    }
  });
  test('times keep their nanoseconds', () => {
    const at = (time: string): unknown => {
      const header = (commit['signed_header'] as Json)['header'] as Json;
      const signed = { ...(commit['signed_header'] as Json), header: { ...header, time } };
      return decodeCertificate(certificateFromRpc({ signed_header: signed })).header.time;
    };
    assert.deepEqual(at('2026-11-22T19:00:00.123456789Z'), {
      seconds: 1795374000n,
      nanos: 123456789,
    });
    assert.deepEqual(at('2026-11-22T19:00:00.5Z'), { seconds: 1795374000n, nanos: 500000000 });
    assert.deepEqual(at('2026-11-22T19:00:00Z'), { seconds: 1795374000n, nanos: 0 });
    for (const wrong of ['2026-11-22T19:00:00+00:00', '2026-13-22T19:00:00Z', '2026-11-22', 'now'])
      assert.throws(() => at(wrong), malformed);
  });
});
