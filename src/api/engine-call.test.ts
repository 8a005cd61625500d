import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as holds, property, uint8Array } from 'fast-check';
import { utf8 } from '../bytes.ts';
import { codeOf } from '../errors.ts';
import { decodeCommit, encodeCommit } from './commit.ts';
import { decodeEngineCall, encodeEngineAnswer } from './engine-call.ts';

const call = (value: unknown) => decodeEngineCall(utf8(JSON.stringify(value)));

test('a call of CometBFT, as its light client writes it', () => {
  const params = { height: '5', page: 1, prove: false, nothing: null };
  assert.deepEqual(call({ jsonrpc: '2.0', id: 0, method: 'commit', params }), {
    id: 0,
    method: 'commit',
    params: { height: '5', page: '1', prove: 'false' },
  });
  assert.deepEqual(call({ id: 'a', method: 'status' }).params, {});
  assert.equal(encodeEngineAnswer('a', { result: 1 }), '{"jsonrpc":"2.0","id":"a","result":1}');
  assert.match(encodeEngineAnswer(0, { error: 'no' }), /"error":\{"code":-1,"message":"no"\}/);
});

test('anything else is refused by its code', () => {
  const good = { id: 0, method: 'commit', params: {} };
  for (const bad of [
    [good],
    null,
    { ...good, id: null },
    { ...good, method: 1 },
    { ...good, params: [] },
    { ...good, params: { height: {} } },
    { ...good, method: 'x'.repeat(5_000) },
  ])
    assert.throws(() => call(bad), { code: 'API_QUERY_INVALID' });
  holds(
    property(uint8Array({ maxLength: 100 }), (bytes) => {
      try {
        decodeEngineCall(bytes);
      } catch (error) {
        assert.ok(codeOf(error));
      }
    }),
  );
});

test('a commit with its head comes out as it went in', () => {
  const head = { height: 7, size: 19, root: new Uint8Array(32), stateRoot: new Uint8Array(32) };
  const commit = { certificate: Uint8Array.of(1, 2), head };
  assert.deepEqual(decodeCommit(encodeCommit(commit)), commit);
  assert.throws(() => decodeCommit(encodeCommit(commit).subarray(1)), { code: /^CBOR_/ });
});
