/** An SNTP responder (RFC 4330, RFC 5905 section 7.3) for devices on the owner's network. It amplifies nothing: 48 bytes in, 48 out. */
import { createSocket, type Socket } from 'node:dgram';
import { BlockList, isIP } from 'node:net';
import { fail } from '../errors.ts';
import { clientAddress, createRateLimiter, type RateLimit } from '../net/limits.ts';

export interface SntpOptions {
  readonly host: string;
  /** 123, or 0 for any free port. */
  readonly port: number;
  /** Milliseconds since 1970. */
  readonly milliseconds: () => number;
  readonly synchronised: () => boolean;
  readonly rate?: RateLimit;
}

export interface SntpServer extends AsyncDisposable {
  readonly port: number;
}

const PACKET = 48;
const CLIENT = 3;
const SERVER = 4;
const UNSYNCHRONISED = 3;
// Seconds from 1900 to 1970.
const ERA = 2_208_988_800;
const RATE: RateLimit = { perSecond: 1, burst: 8 };
// "LOCL": a clock that answers for itself.
const REFERENCE = 0x4c_4f_43_4c;
const STRATUM = 10;

/** Listens. Errors: NET_LISTEN_FAILED. */
export async function openSntp(options: SntpOptions): Promise<SntpServer> {
  const { host, port, milliseconds, synchronised } = options;
  const limiter = createRateLimiter(options.rate ?? RATE, () => performance.now());
  const socket = createSocket(isIP(host) === 6 ? 'udp6' : 'udp4');
  socket.on('message', (packet, from) => {
    const received = milliseconds();
    if (
      !isLocal(from.address) ||
      !isRequest(packet) ||
      limiter.take(clientAddress(from.address)) > 0
    )
      return;
    socket.send(
      sntpAnswer(packet, received, milliseconds, synchronised()),
      from.port,
      from.address,
    );
  });
  await bound(socket, host, port);
  // A datagram that can't be sent is lost like any other.
  socket.on('error', () => {});
  return {
    port: socket.address().port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

async function bound(socket: Socket, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('error', reject).bind(port, host, resolve);
  await promise.catch((cause: unknown) => {
    socket.close();
    return fail('NET_LISTEN_FAILED', `can not listen on ${host}:${port}`, { host, port }, cause);
  });
  socket.off('error', reject);
}

/** Only a client's question of exactly the basic size: no control (6), private (7) or peer modes, no extensions. */
export function isRequest(packet: Uint8Array): boolean {
  const [first = 0] = packet;
  const version = (first >> 3) & 7;
  return packet.length === PACKET && (first & 7) === CLIENT && version >= 3 && version <= 4;
}

/** The answer: leap indicator 3 and stratum 16 unless the clock is synchronised, so that nobody takes the time from it. */
export function sntpAnswer(
  request: Uint8Array,
  received: number,
  milliseconds: () => number,
  synchronised: boolean,
): Uint8Array {
  const answer = new Uint8Array(PACKET);
  const view = new DataView(answer.buffer);
  const version = ((request[0] ?? 0) >> 3) & 7;
  answer[0] = ((synchronised ? 0 : UNSYNCHRONISED) << 6) | (version << 3) | SERVER;
  answer[1] = synchronised ? STRATUM : 16;
  answer[2] = request[2] ?? 0;
  // Precision: 2^-10 s.
  view.setInt8(3, -10);
  // Root dispersion, 16.16 fixed point: 10 ms, or the most that there is.
  view.setUint32(8, synchronised ? 655 : 0xff_ff_ff_ff);
  if (synchronised) view.setUint32(12, REFERENCE);
  if (synchronised) writeTime(view, 16, received);
  answer.set(request.subarray(40, 48), 24);
  writeTime(view, 32, received);
  writeTime(view, 40, milliseconds());
  return answer;
}

function writeTime(view: DataView, at: number, milliseconds: number): void {
  const seconds = Math.floor(milliseconds / 1000);
  // Seconds of the era, modulo 2^32: era 1 begins in 2036.
  view.setUint32(at, (seconds + ERA) % 2 ** 32);
  view.setUint32(at + 4, Math.floor(((milliseconds / 1000 - seconds) * 2 ** 32) % 2 ** 32));
}

const LOCAL = new BlockList();
LOCAL.addSubnet('127.0.0.0', 8);
LOCAL.addSubnet('10.0.0.0', 8);
LOCAL.addSubnet('172.16.0.0', 12);
LOCAL.addSubnet('192.168.0.0', 16);
LOCAL.addSubnet('169.254.0.0', 16);
LOCAL.addAddress('::1', 'ipv6');
LOCAL.addSubnet('fe80::', 10, 'ipv6');
LOCAL.addSubnet('fc00::', 7, 'ipv6');

/** Whether an address is on the owner's own network: private, link-local or loopback. */
export function isLocal(address: string): boolean {
  const bare = address.split('%')[0] ?? '';
  const kind = isIP(bare);
  return kind !== 0 && LOCAL.check(bare, kind === 6 ? 'ipv6' : 'ipv4');
}
