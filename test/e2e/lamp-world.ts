/** A network with an author of lamps, and gateways that follow its line. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '#crypto';
import { hex } from '../../src/bytes.ts';
import { enrolDevice } from '../../src/device/enrolment.ts';
import { buildSampleFirmware } from '../../src/device/firmware/sample.ts';
import { openGatewayDevice, type GatewayDevice } from '../../src/device/gateway-device.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import { Owner, planGateway, runGateway, type GatewayPlace } from '../../src/testing/gateway.ts';
import { startTestNetwork, type TestNetwork } from '../../src/testing/network.ts';
import { testAuthor, type TestAuthor } from '../../src/testing/network-author.ts';

export const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };
/** Of a light device that does not wait long for anything. */
export const QUICK = { ...LAMP, pauses: [50, 200], retry: [50, 200] } as const;

export interface OfferRow {
  readonly offer: string;
  readonly state: string;
  readonly reported: boolean;
}

export interface Firmware {
  readonly version: string;
  readonly image: Uint8Array;
}

export async function eventually(
  what: string,
  holds: () => Promise<boolean> | boolean,
): Promise<void> {
  const end = performance.now() + 30_000;
  while (!(await holds())) {
    assert.ok(performance.now() < end, what);
    await sleep(50);
  }
}

export async function lampWorld(): Promise<LampWorld> {
  const network = await startTestNetwork({ operators: 2 });
  const author = await testAuthor(network);
  await author.declare('lamp');
  return new LampWorld(network, author);
}

export class LampWorld implements AsyncDisposable {
  readonly network: TestNetwork;
  readonly author: TestAuthor;
  #versions = 0;

  constructor(network: TestNetwork, author: TestAuthor) {
    this.network = network;
    this.author = author;
  }

  /** The next release, of 20,000 bytes, available. */
  async publish(): Promise<Firmware> {
    const version = `${++this.#versions}.0.0`;
    const image = buildSampleFirmware({ version, model: 'lamp', size: 20_000 });
    await this.author.publish({ version, image });
    return { version, image };
  }

  plan(
    more: Readonly<Record<string, unknown>> = {},
    rootFile = this.network.rootFile,
  ): Promise<GatewayPlace> {
    const { author } = this;
    const line = { line: author.line('lamp'), anchor: author.anchor, ...LAMP, hardware: ['1.0'] };
    return planGateway({ folder: this.network.folder, rootFile }, { more, lines: [line] });
  }

  async start(place: GatewayPlace): Promise<{ readonly gateway: Gateway; readonly owner: Owner }> {
    const gateway = await runGateway(place, this.network.clock);
    return { gateway, owner: new Owner(place) };
  }

  async fullDevice(owner: Owner): Promise<GatewayDevice> {
    const { author, network } = this;
    const { folder } = network.device([{ line: author.line('lamp'), anchor: author.anchor }]);
    const bundle = await owner.bundle('lamp');
    return openGatewayDevice(folder, {
      enrolment: await enrolDevice(join(folder, 'gateway'), { bundle, ...LAMP }),
      device: { clock: network.clock },
      offers: { mode: 'force', pauses: [50, 200], retry: [50, 200] },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]();
  }
}

export function runsImage({ device }: GatewayDevice, image: Uint8Array): Promise<void> {
  return eventually('it runs the image', () => {
    const { active, slots } = device.slots.state;
    return active !== null && slots[active]?.sha256 === hex(sha256(image));
  });
}

export async function details(owner: Owner): Promise<readonly string[]> {
  const events = await owner.list<{ readonly detail: string }>('events');
  return events.map(({ detail }) => detail);
}
