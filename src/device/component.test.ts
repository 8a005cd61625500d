/** What a manifest may ask of the device beside its slot: the time and the version that runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommandInput } from '../suit/build.ts';
import { act, set, signed, when } from '../suit/process-fixture.ts';
import { processManifest } from '../suit/process.ts';
import { firmwarePort, type FirmwareComponent } from './component.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const NOON = 1_700_000_000;

async function install(
  commands: readonly CommandInput[],
  device: Partial<FirmwareComponent> = {},
): Promise<void> {
  const port = firmwarePort({
    vendorId: new Uint8Array(16),
    classId: new Uint8Array(16),
    files: new SimulatedDisk(),
    file: () => 'slot',
    fetch: () => assert.fail('nothing is fetched'),
    invoke: () => assert.fail('nothing is started'),
    ...device,
  });
  await processManifest(signed(commands), { sections: ['install'], port });
}

test('use-before and wait go by the device clock', async () => {
  const before = [set({ useBefore: BigInt(NOON) }), when('use-before')];
  await install(before, { clock: () => NOON - 1 });
  await assert.rejects(install(before, { clock: () => NOON }), { code: 'SUIT_EXPIRED' });
  await assert.rejects(install(before), { code: 'SUIT_CAPABILITY_MISSING' });
  const wait = [set({ waitInfo: [{ kind: 'time', value: NOON }] }), act('wait')];
  await install(wait, { clock: () => NOON });
  await assert.rejects(install(wait, { clock: () => NOON - 1 }), { code: 'SUIT_WAITING' });
});

test('version is that of the firmware that runs, when it is made of numbers', async () => {
  const commands = [
    set({ versionMatch: { comparison: 'greater-equal', version: [1, 2] } }),
    when('version'),
  ];
  await install(commands, { version: '1.10.3' });
  await assert.rejects(install(commands, { version: '1.1' }), { code: 'SUIT_VERSION_MISMATCH' });
  for (const version of [undefined, '1.2-rc', 'latest'])
    await assert.rejects(install(commands, { version }), { code: 'SUIT_CAPABILITY_MISSING' });
});
