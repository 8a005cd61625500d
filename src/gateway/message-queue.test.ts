import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DownlinkHandler } from './downlink-port.ts';
import { MessageQueue } from './message-queue.ts';

const ID = 'a'.repeat(32);

function recorder(): DownlinkHandler & { readonly said: string[] } {
  const said: string[] = [];
  return {
    said,
    message: (_device, _channel, payload) => {
      const text = new TextDecoder().decode(payload);
      said.push(text);
      if (text === 'poison') throw new Error('not taken');
    },
    together: (work) => {
      said.push('begin');
      work();
      said.push('commit');
    },
    connected: () => undefined,
    disconnected: () => undefined,
  };
}

test('messages that come together are kept together, and acknowledged after that, in order', async () => {
  const handler = recorder();
  const queue = new MessageQueue(() => handler);
  const add = (text: string): void =>
    queue.add({
      device: ID,
      channel: 'status',
      payload: new TextEncoder().encode(text),
      taken: (error) => handler.said.push(`${error === undefined ? 'taken' : 'refused'} ${text}`),
    });
  add('one');
  add('two');
  assert.deepEqual(handler.said, []);
  await sleep(40);
  assert.deepEqual(handler.said.splice(0), [
    'begin',
    'one',
    'two',
    'commit',
    'taken one',
    'taken two',
  ]);
  // One that can't be taken keeps no other out: the rest goes alone.
  add('three');
  add('poison');
  queue.flush();
  assert.deepEqual(handler.said, [
    'begin',
    'three',
    'poison',
    'three',
    'taken three',
    'poison',
    'refused poison',
  ]);
  await sleep(40);
  assert.equal(handler.said.length, 7);
});
