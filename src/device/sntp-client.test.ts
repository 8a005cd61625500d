import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo } from 'node:dgram';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { codeOf } from '../errors.ts';
import { openSntp, sntpAnswer } from '../gateway/sntp.ts';
import { askSntp, readSntp, sntpRequest } from './sntp-client.ts';

const signal = new AbortController().signal;
const NOW = Date.UTC(2026, 10, 22, 12) + 250;
const NONCE = Uint8Array.from({ length: 8 }, (_, i) => i + 1);

/** The gateway's own answer, with some bytes changed. */
function answer(change: (packet: DataView) => void = () => undefined, at = NOW): Uint8Array {
  const packet = sntpAnswer(sntpRequest(NONCE), at, () => at, true);
  change(new DataView(packet.buffer));
  return packet;
}

const read = (packet: Uint8Array, roundTrip = 10): number | undefined =>
  readSntp(packet, NONCE, roundTrip);

interface Liar extends AsyncDisposable {
  readonly port: number;
  readonly asked: () => number;
}

/** Answers each question with these packets. */
async function liar(
  answers: (question: Uint8Array, from: RemoteInfo) => readonly Uint8Array[],
): Promise<Liar> {
  const socket = createSocket('udp4');
  let asked = 0;
  socket.on('message', (question: Uint8Array, from: RemoteInfo) => {
    asked++;
    for (const packet of answers(question, from)) socket.send(packet, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    port: socket.address().port,
    asked: () => asked,
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

suite('an answer', () => {
  test('gives the time when it came, half a way later', () => {
    const time = read(answer(), 40);
    assert.ok(Math.abs((time ?? 0) - (NOW + 20)) < 2, String(time));
  });

  test('of after 2036', () => {
    const late = Date.UTC(2040, 0, 1);
    assert.ok(Math.abs((read(answer(undefined, late), 0) ?? 0) - late) < 2);
  });

  const passed: Readonly<Record<string, Uint8Array>> = {
    'to another question': answer((packet) => packet.setUint8(24, 0xff)),
    'too short': answer().subarray(0, 47),
    'too long': new Uint8Array([...answer(), 0]),
    'by a client': answer((packet) => packet.setUint8(0, (4 << 3) | 3)),
    'by a broadcaster': answer((packet) => packet.setUint8(0, (4 << 3) | 5)),
    'of another version': answer((packet) => packet.setUint8(0, (3 << 3) | 4)),
  };
  for (const [what, packet] of Object.entries(passed))
    test(`${what} is none`, () => assert.equal(read(packet), undefined));

  const refused: Readonly<Record<string, Uint8Array>> = {
    'an unsynchronised clock, by its leap indicator': answer((packet) =>
      packet.setUint8(0, (3 << 6) | (4 << 3) | 4),
    ),
    'an unsynchronised clock, by its stratum': answer((packet) => packet.setUint8(1, 16)),
    "a kiss-o'-death": answer((packet) => {
      packet.setUint8(1, 0);
      packet.setUint32(12, 0x44_45_4e_59);
    }),
    'no transmit time': answer((packet) => packet.setBigUint64(40, 0n)),
    'no receive time': answer((packet) => packet.setBigUint64(32, 0n)),
    'sent before it was asked': answer((packet) =>
      packet.setUint32(32, packet.getUint32(40) + 100),
    ),
    'longer at work than it was away': answer((packet) =>
      packet.setUint32(32, packet.getUint32(40) - 100),
    ),
    'a root far away': answer((packet) => packet.setUint32(4, 0x1_00_00)),
    'a root as far away, with a minus': answer((packet) => packet.setInt32(4, -0x1_00_00)),
    'a root that is not sure': answer((packet) => packet.setUint32(8, 0x1_00_00)),
  };
  for (const [what, packet] of Object.entries(refused))
    test(`${what} is refused`, () =>
      assert.throws(() => read(packet), { code: 'DEVICE_TIME_UNUSABLE' }));

  test('too long on its way is refused', () =>
    assert.throws(() => read(answer(), 1001), { code: 'DEVICE_TIME_UNUSABLE' }));

  test('of any bytes is a time, none, or refused with the code', () =>
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 48, maxLength: 48 }), fc.nat(2000), (bytes, way) => {
        bytes.set(NONCE, 24);
        bytes[0] = ((bytes[0] ?? 0) & 0xc0) | (4 << 3) | 4;
        try {
          assert.ok(Number.isFinite(read(bytes, way)));
        } catch (error) {
          assert.equal(codeOf(error), 'DEVICE_TIME_UNUSABLE');
        }
      }),
    ));
});

suite('asking', () => {
  test("the gateway's responder, by name too", async () => {
    let synchronised = true;
    const server = { host: '127.0.0.1', port: 0, milliseconds: () => NOW };
    await using sntp = await openSntp({ ...server, synchronised: () => synchronised });
    for (const host of ['127.0.0.1', 'localhost']) {
      const { milliseconds, at } = await askSntp({ host, port: sntp.port, signal });
      assert.ok(Math.abs(milliseconds - NOW) < 500 && at <= performance.now());
    }
    synchronised = false;
    await assert.rejects(askSntp({ host: '127.0.0.1', port: sntp.port, signal }), {
      code: 'DEVICE_TIME_UNUSABLE',
    });
  });

  test('forged answers around the right one do not matter', async () => {
    const forged = answer(undefined, 0);
    await using server = await liar((question) => [
      forged,
      new Uint8Array(),
      new Uint8Array(60_000),
      sntpAnswer(question, NOW, () => NOW, true),
      forged,
    ]);
    const { milliseconds } = await askSntp({ host: '127.0.0.1', port: server.port, signal });
    assert.ok(Math.abs(milliseconds - NOW) < 500);
  });

  test('an answer of another port is not seen', async () => {
    const other = createSocket('udp4');
    let sent = 0;
    await using server = await liar((question, from) => {
      const right = sntpAnswer(question, NOW, () => NOW, true);
      other.send(right, from.port, from.address, () => sent++);
      return [];
    });
    const { port } = server;
    const asked = askSntp({ host: '127.0.0.1', port, signal, timeoutMs: 150 });
    await assert.rejects(asked, { code: 'NET_UNREACHABLE' });
    assert.equal(sent, 1);
    other.close();
  });

  test('a flood, silence, a closed port, an end: each ends in a code, in bounded time', async () => {
    const code = { code: 'NET_UNREACHABLE' };
    await using flood = await liar(() => Array.from({ length: 200 }, () => new Uint8Array(48)));
    const from = performance.now();
    await assert.rejects(askSntp({ host: '127.0.0.1', port: flood.port, signal }), code);
    assert.ok(performance.now() - from < 1500);
    await using silent = await liar(() => []);
    const host = '127.0.0.1';
    await assert.rejects(askSntp({ host, port: silent.port, signal, timeoutMs: 50 }), code);
    assert.equal(silent.asked(), 1);
    const end = new AbortController();
    const asked = askSntp({ host, port: silent.port, signal: end.signal });
    end.abort();
    await assert.rejects(asked, code);
    const { port } = await liar(() => []).then(async (gone) => {
      await gone[Symbol.asyncDispose]();
      return gone;
    });
    await assert.rejects(askSntp({ host, port, signal, timeoutMs: 300 }), code);
    await assert.rejects(askSntp({ host: 'nowhere.invalid', port, signal }), code);
  });
});
