import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CID } from 'multiformats/cid';
import { sha256 } from '#crypto';
import { utf8 } from '../bytes.ts';
import { checkCid, cidText, nodeCid, parseCid, rawCid, verifyBlock } from './cid.ts';

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 });

test('texts are those of multiformats, and parse back', () => {
  fc.assert(
    fc.property(digest, fc.boolean(), (hash, raw) => {
      const cid = raw ? rawCid(hash) : nodeCid(hash);
      assert.equal(cidText(cid), CID.decode(cid).toString());
      assert.deepEqual(parseCid(cidText(cid)), cid);
    }),
  );
});

// values that IPFS tools have in their own tests
for (const [text, cid] of [
  ['hello world', 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'],
  ['', 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'],
] as const)
  test(`the CID of the raw block "${text}"`, () => {
    assert.equal(cidText(rawCid(sha256(utf8(text)))), cid);
  });

test('other versions, codecs, hashes, bases and spellings are refused', () => {
  const good = cidText(rawCid(new Uint8Array(32)));
  const refused = [
    '',
    'b',
    good.toUpperCase(),
    `${good}a`,
    good.slice(0, -1),
    // the spare bits of the last character
    `${good.slice(0, -1)}b`,
    `${good.slice(0, -1)}1`,
    'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG',
    'zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA',
    'bafkqaaa',
    // dag-cbor
    CID.createV1(0x71, CID.decode(rawCid(new Uint8Array(32))).multihash).toString(),
  ];
  for (const text of refused)
    assert.throws(() => parseCid(text), { code: 'STORE_CID_INVALID' }, text);
  for (const bytes of [new Uint8Array(0), new Uint8Array(36), rawCid(new Uint8Array(32)).slice(1)])
    assert.throws(() => checkCid(bytes), { code: 'STORE_CID_INVALID' });
  fc.assert(
    fc.property(fc.string({ maxLength: 70 }), (text) => {
      assert.throws(() => parseCid(text), { code: 'STORE_CID_INVALID' });
    }),
  );
});

test('a block is what its CID says and no longer than a block may be', () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const cid = rawCid(sha256(bytes));
  verifyBlock(cid, bytes);
  assert.throws(() => verifyBlock(cid, Uint8Array.of(1, 2, 4)), { code: 'STORE_DIGEST_MISMATCH' });
  const large = new Uint8Array(2 ** 21 + 1);
  assert.throws(() => verifyBlock(rawCid(sha256(large)), large), { code: 'STORE_BLOCK_TOO_LARGE' });
});
