/**
 * The time from an SNTP server (RFC 4330, section 5): a hint, since nobody has signed it (T14). What does not answer our question
 * is passed over; an answer that is one and says "not from me" ends the matter.
 */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { randomBytes } from 'node:crypto';
import { equal } from '../bytes.ts';
import { check, fail, FirmamentError } from '../errors.ts';

export interface SntpQuestion {
  readonly host: string;
  readonly port: number;
  readonly signal: AbortSignal;
  /** Milliseconds to wait for an answer. */
  readonly timeoutMs?: number;
}

/** Milliseconds since 1970, as they were `at` by a clock that never jumps (`performance.now()`). */
export interface SntpTime {
  readonly milliseconds: number;
  readonly at: number;
}

const CODE = 'DEVICE_TIME_UNUSABLE';
const PACKET = 48;
const VERSION = 4;
const CLIENT = 3;
const SERVER = 4;
const UNSYNCHRONISED = 3;
const MAX_STRATUM = 15;
// 16.16 fixed point: RFC 4330 takes no server whose root is a second away.
const SECOND = 0x1_00_00;
const TIMEOUT_MS = 2_000;
// A longer way there and back could hide as long an error.
const MAX_ROUND_TRIP = 1_000;
// Of a flood that comes with the server's address, so many are looked at.
const MAX_DATAGRAMS = 64;
// Seconds from 1900 to 1970.
const ERA = 2_208_988_800;

/** Asks once. Errors: DEVICE_TIME_UNUSABLE, NET_UNREACHABLE when nothing usable comes in time. */
export async function askSntp(question: SntpQuestion): Promise<SntpTime> {
  const { host, port, signal, timeoutMs = TIMEOUT_MS } = question;
  const { address, family } = await lookup(host.replace(/^\[|\]$/g, '')).catch((cause: unknown) =>
    fail('NET_UNREACHABLE', undefined, { host }, cause),
  );
  // Nothing of our clock is told: the answer has to bring back these bytes, which only the way there has seen.
  const nonce = new Uint8Array(randomBytes(8));
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  const { promise, resolve, reject } = Promise.withResolvers<SntpTime>();
  const late = setTimeout(() => reject(unreachable(host)), timeoutMs);
  const stop = (): void => reject(unreachable(host));
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  let sent = 0;
  let seen = 0;
  socket.on('error', (cause) => reject(unreachable(host, cause)));
  // Connected: the system hands over datagrams of this address and port alone.
  socket.connect(port, address, () => {
    sent = performance.now();
    socket.send(sntpRequest(nonce));
  });
  socket.on('message', (packet) => {
    const at = performance.now();
    try {
      const milliseconds = readSntp(packet, nonce, at - sent);
      if (milliseconds !== undefined) resolve({ milliseconds, at });
      else if (++seen >= MAX_DATAGRAMS) reject(unreachable(host));
    } catch (error) {
      reject(error);
    }
  });
  try {
    return await promise;
  } finally {
    clearTimeout(late);
    signal.removeEventListener('abort', stop);
    socket.close();
  }
}

/** A client's question; `nonce` (8 bytes) stands where its transmit time would. */
export function sntpRequest(nonce: Uint8Array): Uint8Array {
  const packet = new Uint8Array(PACKET);
  packet[0] = (VERSION << 3) | CLIENT;
  packet.set(nonce, 40);
  return packet;
}

/**
 * Milliseconds since 1970 when the answer came, `roundTrip` milliseconds after the question; undefined: it is no answer to
 * this question. Errors: DEVICE_TIME_UNUSABLE.
 */
export function readSntp(
  packet: Uint8Array,
  nonce: Uint8Array,
  roundTrip: number,
): number | undefined {
  if (packet.length !== PACKET || !equal(packet.subarray(24, 32), nonce)) return undefined;
  const view = new DataView(packet.buffer, packet.byteOffset, PACKET);
  const first = view.getUint8(0);
  if ((first & 7) !== SERVER || ((first >> 3) & 7) !== VERSION) return undefined;
  const stratum = view.getUint8(1);
  // Stratum 0 is a kiss-o'-death: the server wants to be left alone.
  check(first >> 6 !== UNSYNCHRONISED && stratum >= 1 && stratum <= MAX_STRATUM, CODE, undefined, {
    leap: first >> 6,
    stratum,
  });
  const near = Math.abs(view.getInt32(4)) < SECOND && view.getUint32(8) < SECOND;
  check(near, CODE, 'the server is too far from its reference');
  const received = timeAt(view, 32);
  const transmitted = timeAt(view, 40);
  check(received !== undefined && transmitted !== undefined, CODE, 'the answer has no time');
  const there = roundTrip - (transmitted - received);
  const short = transmitted >= received && there >= -1 && roundTrip <= MAX_ROUND_TRIP;
  check(short, CODE, 'the answer was too long on its way');
  return transmitted + Math.max(there, 0) / 2;
}

// 0 says that there is no time. Times without the highest bit are of the era that begins in 2036 (RFC 4330, section 3).
function timeAt(view: DataView, at: number): number | undefined {
  const seconds = view.getUint32(at);
  const fraction = view.getUint32(at + 4);
  if (seconds === 0 && fraction === 0) return undefined;
  const era = seconds < 2 ** 31 ? 2 ** 32 : 0;
  return (seconds + era - ERA) * 1000 + (fraction * 1000) / 2 ** 32;
}

function unreachable(host: string, cause?: unknown): FirmamentError {
  return new FirmamentError('NET_UNREACHABLE', 'no SNTP answer', { host }, { cause });
}
