import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Reply, Request } from '../net/server.ts';
import { Transfers, TRANSFERS } from './transfers.ts';

/** One request as the hook sees it. */
function ask(transfers: Transfers, ip: string, method = 'GET') {
  const raw = Object.assign(new EventEmitter(), {
    destroy: () => void raw.emit('close'),
  });
  const seen = { in: false, status: 0, leave: () => void raw.emit('close') };
  const reply = {
    raw,
    header: () => reply,
    code: (status: number) => {
      seen.status = status;
      return reply;
    },
    type: () => reply,
    send: () => reply,
  };
  transfers.enter(
    { ip, method } as Request,
    reply as unknown as Reply,
    () => void (seen.in = true),
  );
  return seen;
}

test('so many at once, of one address fewer, and the others in their turn', () => {
  const transfers = new Transfers({ ...TRANSFERS, all: 3, perClient: 2 });
  const [first, second, third] = [1, 2, 3].map(() => ask(transfers, '10.0.0.1'));
  const other = ask(transfers, '10.0.0.2');
  const last = ask(transfers, '10.0.0.3');
  const states = (): readonly boolean[] =>
    [first, second, third, other, last].map((each) => each?.in === true);
  assert.deepEqual(states(), [true, true, false, true, false]);
  assert.ok(ask(transfers, '10.0.0.1', 'HEAD').in);
  first?.leave();
  // The third of the first address comes before the last: it was there earlier.
  assert.deepEqual(states(), [true, true, true, true, false]);
  other.leave();
  assert.ok(last.in);
});

test('whoever leaves the row is not let in, a full row and a long wait are refused', async () => {
  const transfers = new Transfers({ ...TRANSFERS, all: 1, waiting: 1, patience: 20 });
  const reading = ask(transfers, '10.0.0.1');
  const left = ask(transfers, '10.0.0.2');
  left.leave();
  const late = ask(transfers, '10.0.0.3');
  assert.equal(ask(transfers, '10.0.0.4').status, 503);
  await sleep(60);
  assert.equal(late.status, 503);
  reading.leave();
  assert.ok(!left.in && !late.in);
  assert.ok(ask(transfers, '10.0.0.5').in);
});

test('a reader that is too slow makes room at last', async () => {
  const transfers = new Transfers({ ...TRANSFERS, all: 1, longest: 20 });
  assert.ok(ask(transfers, '10.0.0.1').in);
  const next = ask(transfers, '10.0.0.2');
  await sleep(60);
  assert.ok(next.in);
});
