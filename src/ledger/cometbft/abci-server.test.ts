import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { codeOf } from '../../errors.ts';
import { RequestSchema, ResponseSchema } from '../../proto/tendermint/abci/types_pb.js';
import { SILENT } from '../../testing/ledger-fixture.ts';
import { listenAbci, type Answer, type Call } from './abci-server.ts';
import { frame, FrameReader } from './framing.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'abci-'));
after(() => rmSync(FOLDER, { recursive: true }));
let sockets = 0;

/** A server that echoes, and connections to it as the engine makes them. */
async function listening(t: TestContext, answer: (call: Call) => Answer | Promise<Answer>) {
  const path = join(FOLDER, `${sockets++}.sock`);
  const down = Promise.withResolvers<unknown>();
  const server = await listenAbci({ path, answer, logger: SILENT, onDown: down.resolve });
  t.after(() => server[Symbol.asyncDispose]());
  const connected = () => {
    const socket: Socket = connect(path);
    const reader = new FrameReader();
    const answers: string[] = [];
    const closed = Promise.withResolvers<void>();
    socket.on('data', (chunk) => {
      for (const message of reader.push(chunk as Uint8Array)) {
        const { value } = fromBinary(ResponseSchema, message);
        answers.push(
          value.case === 'echo'
            ? value.value.message
            : value.case === 'exception'
              ? `! ${value.value.error}`
              : String(value.case),
        );
      }
    });
    socket.on('close', () => closed.resolve());
    socket.on('error', () => undefined);
    t.after(() => socket.destroy());
    const ask = (
      ...values: NonNullable<MessageInitShape<typeof RequestSchema>['value']>[]
    ): void => {
      for (const value of values)
        socket.write(frame(toBinary(RequestSchema, create(RequestSchema, { value }))));
    };
    return { socket, ask, answers, closed: closed.promise };
  };
  return { path, down: down.promise, connected };
}

async function heard(answers: readonly string[], count: number): Promise<void> {
  for (let i = 0; answers.length < count && i < 500; i++) await sleep(5);
}

const within = <T>(promise: Promise<T>): Promise<T> =>
  Promise.race([
    promise,
    sleep(3_000, undefined, { ref: false }).then(() => assert.fail('not in time')),
  ]);

const echo = (message: string) => ({ case: 'echo', value: { message } }) as const;

test('answers come in the order of the requests, however long each takes', async (t) => {
  const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { connected } = await listening(t, async (call) => {
    if (call.case !== 'echo') return { case: 'flush', value: {} };
    if (call.value.message !== 'slow') return echo(call.value.message);
    begun.resolve();
    await gate.promise;
    return echo('slow');
  });
  const { ask, answers } = connected();
  ask(echo('slow'));
  await within(begun.promise);
  ask(echo('a'), { case: 'flush', value: {} }, echo('b'));
  await sleep(20);
  assert.deepEqual(answers, []);
  gate.resolve();
  await heard(answers, 4);
  assert.deepEqual(answers, ['slow', 'a', 'flush', 'b']);
});

test('one connection waits for no other', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { connected } = await listening(t, async (call) => {
    if (call.case !== 'echo') return { case: 'flush', value: {} };
    if (call.value.message === 'blocked') await gate.promise;
    return echo(call.value.message);
  });
  const [one, other] = [connected(), connected()];
  one.ask(echo('blocked'));
  other.ask(echo('free'));
  await heard(other.answers, 1);
  assert.deepEqual([one.answers, other.answers], [[], ['free']]);
  gate.resolve();
  await heard(one.answers, 1);
  assert.deepEqual(one.answers, ['blocked']);
});

test('an exception is told, and ends every connection', async (t) => {
  const { connected, down } = await listening(t, (call) => {
    if (call.case === 'commit') throw new Error('a fault of this node');
    return call.case === 'echo' ? echo(call.value.message) : { case: 'flush', value: {} };
  });
  const [one, other] = [connected(), connected()];
  other.ask(echo('there'));
  await heard(other.answers, 1);
  one.ask({ case: 'commit', value: {} }, echo('never'));
  await within(Promise.all([one.closed, other.closed]));
  assert.deepEqual(one.answers, ['! INTERNAL']);
  assert.match(String(await within(down)), /a fault of this node/);
});

test('bytes that are no request, and a connection that ends, end the pair', async (t) => {
  for (const bytes of [Uint8Array.of(2, 0xff, 0xff), Uint8Array.of(0xff, 0xff, 0xff, 0xff)]) {
    const { connected, down } = await listening(t, () => ({ case: 'flush', value: {} }));
    const { socket, closed } = connected();
    socket.write(bytes);
    assert.equal(codeOf(await within(down)), 'ENGINE_FRAME_INVALID');
    await within(closed);
  }
  const { connected, down } = await listening(t, () => ({ case: 'flush', value: {} }));
  const { socket, ask, answers } = connected();
  ask({ case: 'flush', value: {} });
  await heard(answers, 1);
  socket.destroy();
  assert.equal(await within(down), undefined);
});

test('nobody but this user can connect', async (t) => {
  const { path } = await listening(t, () => ({ case: 'flush', value: {} }));
  assert.equal(statSync(path).mode & 0o777, 0o600);
});
