import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientAddress, createRateLimiter } from './limits.ts';

test('a bucket empties, refills with time, and never above its burst', () => {
  let now = 0;
  const limiter = createRateLimiter({ perSecond: 2, burst: 3 }, () => now);
  assert.deepEqual(
    [1, 2, 3, 4].map(() => limiter.take('a')),
    [0, 0, 0, 1],
  );
  assert.equal(limiter.take('b'), 0);
  now = 500;
  assert.equal(limiter.take('a'), 0);
  assert.equal(limiter.take('a'), 1);
  now = 1_000_000;
  assert.deepEqual(
    [1, 2, 3, 4].map(() => limiter.take('a')),
    [0, 0, 0, 1],
  );
});

test('the number of buckets is bounded; the one unused longest goes', () => {
  const limiter = createRateLimiter({ perSecond: 0.001, burst: 1, maxClients: 2 }, () => 0);
  for (const client of ['a', 'b', 'a', 'c']) limiter.take(client);
  assert.notEqual(limiter.take('a'), 0);
  assert.equal(limiter.take('b'), 0);
});

test('addresses: IPv4 whole, IPv6 by its /64', () => {
  for (const [address, client] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::6', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ] as const)
    assert.equal(clientAddress(address), client);
});
