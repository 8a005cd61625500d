import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openGatewayClock } from './kernel-clock.ts';
import { isLocal, openSntp, type SntpServer } from './sntp.ts';

const RATE = { perSecond: 0.01, burst: 100 };

function open(synchronised: boolean, burst = RATE.burst): Promise<SntpServer> {
  return openSntp({
    host: '127.0.0.1',
    port: 0,
    milliseconds: () => Date.now(),
    synchronised: () => synchronised,
    rate: { ...RATE, burst },
  });
}

/** Undefined: no answer in a tenth of a second. */
async function ask(port: number, packet: Uint8Array): Promise<Uint8Array | undefined> {
  const socket = createSocket('udp4');
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  socket.once('message', resolve);
  socket.send(packet, port, '127.0.0.1');
  const answer = await Promise.race([promise, sleep(100, undefined)]);
  socket.close();
  return answer;
}

function question(first = 0x23, length = 48): Uint8Array {
  const packet = new Uint8Array(length);
  packet[0] = first;
  packet.set([1, 2, 3, 4, 5, 6, 7, 8].slice(0, Math.max(0, length - 40)), 40);
  return packet;
}

test('48 bytes in, 48 bytes out, with the time in era 0 and the question it answers', async () => {
  await using server = await open(true);
  const answer = await ask(server.port, question());
  assert.ok(answer);
  const view = new DataView(answer.buffer, answer.byteOffset);
  assert.equal(answer.length, 48);
  // no leap warning, version 4, server
  assert.equal(answer[0], 0x24);
  assert.ok((answer[1] ?? 0) < 16);
  assert.deepEqual([...answer.subarray(24, 32)], [1, 2, 3, 4, 5, 6, 7, 8]);
  const seconds = view.getUint32(40) + view.getUint32(44) / 2 ** 32 - 2_208_988_800;
  assert.ok(Math.abs(seconds - Date.now() / 1000) < 1, String(seconds));
});

test('a clock that is not synchronised says so: leap indicator 3, stratum 16', async () => {
  await using server = await open(false);
  const answer = await ask(server.port, question());
  assert.ok(answer);
  assert.equal((answer[0] ?? 0) >> 6, 3);
  assert.equal(answer[1], 16);
});

test('no answer to control and private modes, to servers and peers, old versions or other sizes', async () => {
  await using server = await open(true);
  // version 4 with modes 0 to 7 but 3; versions 1, 2 and 7
  const firsts = [0x20, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x0b, 0x13, 0x3b];
  const bad = [...firsts.map((first) => question(first)), question(0x23, 60), question(0x23, 44)];
  for (const packet of bad)
    assert.equal(await ask(server.port, packet), undefined, String(packet[0]));
  assert.ok(await ask(server.port, question(0x1b)));
});

test('an address that asks too often gets no more answers', async () => {
  await using server = await open(true, 2);
  assert.ok(await ask(server.port, question()));
  assert.ok(await ask(server.port, question()));
  assert.equal(await ask(server.port, question()), undefined);
});

test('only the own network: private, link-local, loopback', () => {
  for (const address of [
    '127.0.0.1',
    '10.1.2.3',
    '172.31.0.1',
    '192.168.1.1',
    '169.254.1.1',
    '::1',
    'fe80::1%eth0',
    'fd00::1',
  ])
    assert.equal(isLocal(address), true, address);
  for (const address of ['8.8.8.8', '172.32.0.1', '192.169.0.1', '2001:db8::1', '', 'x'])
    assert.equal(isLocal(address), false, address);
});

test('chrony takes the time from it, and not when it is not synchronised', async (t) => {
  if (!present('chronyd')) {
    t.skip('needs chronyd');
    return;
  }
  for (const synchronised of [true, false]) {
    await using server = await open(synchronised);
    const args = [
      '-Q',
      '-t',
      synchronised ? '5' : '2',
      '-f',
      '/dev/null',
      `server 127.0.0.1 port ${server.port} iburst maxsamples 1`,
    ];
    const child = Promise.withResolvers<boolean>();
    const { execFile } = await import('node:child_process');
    execFile('chronyd', args, (error) => child.resolve(!error));
    assert.equal(await child.promise, synchronised);
  }
});

function present(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test('the clock claims to be synchronised only once it was seen to be; an operator may vouch', async () => {
  const looked = Promise.withResolvers<boolean>();
  using kernel = openGatewayClock(
    () => 7,
    'kernel',
    () => looked.promise,
  );
  assert.deepEqual(kernel.now(), { time: 7, synchronised: false });
  looked.resolve(true);
  await sleep(1);
  assert.equal(kernel.now().synchronised, true);
  using failing = openGatewayClock(
    () => 7,
    'kernel',
    () => Promise.reject(new Error('no such program')),
  );
  await sleep(1);
  assert.equal(failing.now().synchronised, false);
  using local = openGatewayClock(() => 7, 'local');
  assert.equal(local.now().synchronised, true);
});
