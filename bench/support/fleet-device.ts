/** One simulated device, as cheap as can be: a TLS connection, MQTT by hand, a download whose digest is checked. */
import { createHash } from 'node:crypto';
import { get } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import {
  CONNACK,
  connectPacket,
  packetReader,
  PUBACK,
  pubackPacket,
  PUBLISH,
  publishPacket,
  readPublish,
  SUBACK,
  subscribePacket,
  type MqttPacket,
} from './mqtt-bytes.ts';

export interface FleetMember {
  readonly id: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  /** Its own address of the loopback network, so that bounds per address mean what they mean elsewhere. */
  readonly address: string;
}

export interface FleetPlace {
  readonly port: number;
  readonly ca: string;
  readonly https?: number;
}

interface Offer {
  readonly offer: string;
  readonly image: string;
  readonly digest: string;
  readonly sequence: string;
  readonly version: string;
  readonly sha256: string;
  readonly size: number;
}

const HARDWARE = { type: 'lamp', model: 'lamp', hardware: '1.0' };
const RETRY_S = 2;
const MAX_TRIES = 30;
const NOTHING = { digest: '', sequence: '0', version: '', sha256: '' };

/** Milliseconds of a clock that all processes of this machine share. */
export function sharedNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export class FleetDevice {
  readonly #member: FleetMember;
  readonly #place: FleetPlace;
  readonly #context: SecureContext;
  readonly #onNotice: (empty: boolean) => void;
  readonly #acknowledged = new Map<number, () => void>();
  #socket: TLSSocket | undefined;
  #answered: ((packet: MqttPacket) => void) | undefined;
  #next = 1;
  #offer: Offer | undefined;

  constructor(member: FleetMember, place: FleetPlace, onNotice: (empty: boolean) => void) {
    const { certificatePem: cert, keyPem: key } = member;
    this.#member = member;
    this.#place = place;
    this.#context = createSecureContext({ ca: place.ca, cert, key, minVersion: 'TLSv1.3' });
    this.#onNotice = onNotice;
  }

  /** Connected, subscribed to its own topics, and (at a gateway) its hello taken. */
  async connect(hello: boolean): Promise<void> {
    const { address: localAddress, id } = this.#member;
    const socket = connect({
      host: '127.0.0.1',
      port: this.#place.port,
      secureContext: this.#context,
      ...({ localAddress } as object),
    });
    this.#socket = socket.setNoDelay(true);
    const { promise: lost, reject } = Promise.withResolvers<never>();
    socket.on('error', reject).on('close', () => reject(new Error(`${id}: the session ended`)));
    socket.on(
      'data',
      packetReader((packet) => this.#take(packet)),
    );
    lost.catch(() => undefined);
    socket.write(connectPacket(id));
    await Promise.race([this.#answer(CONNACK), lost]);
    const own = ['offer', 'time'].map((channel) => `firmament/v1/${id}/${channel}`);
    socket.write(subscribePacket(this.#next++, own));
    await Promise.race([this.#answer(SUBACK), lost]);
    if (hello) await Promise.race([this.#hello(), lost]);
  }

  async #answer(type: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#answered = (packet) => {
      if (packet.type === type) resolve();
      else reject(new Error(`packet ${packet.type} instead of ${type}`));
    };
    await promise;
    this.#answered = undefined;
  }

  #take(packet: MqttPacket): void {
    if (packet.type === PUBLISH) {
      const { topic, payload, id } = readPublish(packet);
      if (topic.endsWith('/offer')) {
        this.#onNotice(payload === '');
        this.#offer = payload.startsWith('{') ? (JSON.parse(payload) as Offer) : undefined;
      }
      if (packet.qos > 0) this.#socket?.write(pubackPacket(id));
    } else if (packet.type === PUBACK) this.#acknowledged.get(packet.body.readUInt16BE(0))?.();
    else this.#answered?.(packet);
  }

  async #publish(channel: string, payload: object): Promise<void> {
    const id = this.#next++ & 0xffff;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#acknowledged.set(id, resolve);
    const topic = `firmament/v1/${this.#member.id}/${channel}`;
    this.#socket?.write(publishPacket(id, topic, JSON.stringify(payload)));
    await promise;
    this.#acknowledged.delete(id);
  }

  async #hello(running: object = NOTHING): Promise<void> {
    await this.#publish('hello', { ...HARDWARE, ...running });
  }

  /** As a device does once it has its offer; answers how often it was told to come again. */
  async install(): Promise<number> {
    const offer = this.#offer;
    if (!offer) throw new Error(`${this.#member.id}: no offer`);
    const { offer: id, size: total, digest, sequence, version, sha256 } = offer;
    const say = (state: string, done: number): Promise<void> =>
      this.#publish('status', { offer: id, state, detail: '', done, total });
    await say('accepted', 0);
    await say('downloading', 0);
    let busy = 0;
    for (;;) {
      const answer = await this.#download(offer);
      if (answer === 'whole') break;
      if (++busy > MAX_TRIES) throw new Error(`${this.#member.id}: no download`);
      await sleep(answer * 1000 * (0.5 + Math.random()));
    }
    await say('installing', total);
    await this.#hello({ digest, sequence, version, sha256 });
    await say('installed', total);
    return busy;
  }

  /** Seconds to wait when the gateway has too many. */
  #download({ image, sha256 }: Offer): Promise<number | 'whole'> {
    const { promise, resolve, reject } = Promise.withResolvers<number | 'whole'>();
    const { https = 0, ca } = this.#place;
    const { address: localAddress } = this.#member;
    const at = { host: '127.0.0.1', port: https, path: image, ca, localAddress, agent: false };
    get(at, (response) => {
      if (response.statusCode === 503) {
        response.resume().on('end', () => resolve(Number(response.headers['retry-after'] ?? 1)));
        return;
      }
      const hash = createHash('sha256');
      response.on('data', (chunk: Buffer) => hash.update(chunk)).on('error', reject);
      response.on('end', () => {
        if (hash.digest('hex') === sha256) resolve('whole');
        else reject(new Error(`${this.#member.id}: ${response.statusCode}, another image`));
      });
      // Handshakes of all at once may take longer than a gateway waits: a device comes again.
    }).on('error', () => resolve(RETRY_S));
    return promise;
  }

  close(): void {
    this.#socket?.destroy();
  }
}
