// A gateway killed at named moments: what it promised a device, it keeps when it is back.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { GatewayFault } from '../../src/gateway/fault.ts';
import { FaultFile } from '../../src/testing/faults.ts';
import { Owner, planGateway } from '../../src/testing/gateway.ts';
import { enrolLight, LightDevice } from '../../src/testing/light-device.ts';
import { startTestNetwork } from '../../src/testing/network.ts';
import { testAuthor } from '../../src/testing/network-author.ts';
import { startCommand, type RunningCommand } from '../../src/testing/processes.ts';

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };
const PROGRAM = join(import.meta.dirname, '../../src/testing/faulty-gateway.child.ts');
// Written in full, so that a new point must be driven here.
const FAULTS: Readonly<Record<GatewayFault, true>> = {
  'proof.saved': true,
  'image.part': true,
  'image.stored': true,
  'offer.made': true,
  'status.written': true,
};

test('killed at each of its moments, it goes on where it was', async () => {
  await using network = await startTestNetwork({ operators: 1 });
  const author = await testAuthor(network);
  const line = author.line('lamp');
  await author.declare('lamp');
  const place = await planGateway(network, {
    lines: [{ line, anchor: author.anchor, ...LAMP, hardware: ['1.0'] }],
  });
  const fault = new FaultFile(join(place.folder, 'fault'));
  const start = async (): Promise<RunningCommand> => {
    const gateway = startCommand(['gateway', 'start', place.config], {
      program: PROGRAM,
      env: fault.env,
    });
    await gateway.event((event) => typeof event['api'] === 'number');
    return gateway;
  };
  await using cleanup = new AsyncDisposableStack();
  let gateway = await start();
  cleanup.defer(() => gateway.kill());
  const owner = cleanup.use(new Owner(place));
  const lamp = cleanup.use(
    new LightDevice(await enrolLight(await owner.bundle(), LAMP), { ...LAMP, pauses: [50, 200] }),
  );
  let release = 0;
  for (const point of Object.keys(FAULTS)) {
    const version = `1.0.${++release}`;
    await author.publish({ version, line, size: 600_000 });
    fault.arm(point);
    await owner.poll().catch(() => undefined);
    const end = await gateway.ended;
    assert.equal(end.signal, 'SIGKILL', point);
    gateway = await start();
    await owner.poll();
    await lamp.runs(version);
    assert.equal(fault.armed, false);
  }
  // One attempt a release, also where the kill fell between making an offer and publishing it.
  const left = await owner.list<{ readonly state: string }>(`offers?device=${lamp.id}`);
  assert.equal(left.length, release);
});
