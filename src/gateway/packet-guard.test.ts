import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { concat } from '../bytes.ts';
import { PacketGuard } from './packet-guard.ts';

const BOUNDS = { connect: 100, packet: 1000 };
const REFUSED = { code: 'GATEWAY_BROKER_REFUSED' };

function packet(type: number, length: number): Uint8Array {
  const header = [type << 4];
  let left = length;
  do {
    header.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    left >>= 7;
  } while (left > 0);
  // The body looks like headers.
  return concat(Uint8Array.from(header), new Uint8Array(length).fill(0xff));
}

test('streams of packets within the bounds pass, however they are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(1000), { maxLength: 8 }),
      fc.nat(100),
      fc.integer({ min: 1, max: 300 }),
      (lengths, first, step) => {
        const stream = concat(packet(1, first), ...lengths.map((length) => packet(3, length)));
        const guard = new PacketGuard(BOUNDS);
        for (let at = 0; at < stream.length; at += step) guard.take(stream.subarray(at, at + step));
      },
    ),
  );
});

test('a first packet that is no CONNECT, packets above the bounds, lengths without an end', () => {
  const bad: readonly (readonly Uint8Array[])[] = [
    [packet(3, 10)],
    [packet(1, 101)],
    [packet(1, 10), packet(3, 1001)],
    [packet(1, 10), Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f)],
    [packet(1, 10), Uint8Array.of(0x30, 0x80, 0x80, 0x80, 0x80)],
  ];
  for (const packets of bad) {
    const whole = new PacketGuard(BOUNDS);
    assert.throws(() => whole.take(concat(...packets)), REFUSED);
    const bytewise = new PacketGuard(BOUNDS);
    assert.throws(() => {
      for (const byte of concat(...packets)) bytewise.take(Uint8Array.of(byte));
    }, REFUSED);
  }
});
