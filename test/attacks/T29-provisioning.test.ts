import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { encodeKey } from '../../src/cose/key.ts';
import {
  encodeProvisioning,
  parseProvisioning,
  provisionedLine,
} from '../../src/device/provision.ts';
import { SimulatedDisk } from '../../src/device/simulated-disk.ts';
import { openDeviceState } from '../../src/device/state.ts';
import { lineText } from '../../src/registry/line.ts';
import { CLASS, SampleLedger, VENDOR } from './sample-ledger.ts';
import { availableRelease, honestNode, SampleDevice } from './sample-device.ts';

const ledger = new SampleLedger();
const author = ledger.author('author');

const made = encodeProvisioning({
  name: 'device',
  model: 'model',
  vendorId: VENDOR,
  classId: CLASS,
  lines: [{ anchor: encodeKey(author.key.publicKey), track: 'stable' }],
  root: ledger.root.bytes,
  floor: 1000,
  staleInstall: 'never',
  keyFile: 'device.key',
});

function changed(change: (json: Record<string, unknown>) => void): Uint8Array {
  const json = JSON.parse(new TextDecoder().decode(made)) as Record<string, unknown>;
  change(json);
  return new TextEncoder().encode(JSON.stringify(json));
}

suite('T29: what a device was not made with it does not take', () => {
  test('a line that it does not follow', () => {
    const other = { ...author.line, track: 'beta' };
    assert.throws(() => provisionedLine(parseProvisioning(made), lineText(other)), {
      code: 'TRUST_UNPROVISIONED',
    });
  });

  test('a provisioning file without anchor, line, root or floor is refused', () => {
    for (const field of ['lines', 'root', 'floor', 'vendorId'])
      assert.throws(() => parseProvisioning(changed((json) => void delete json[field])), {
        code: 'DEVICE_PROVISIONING_INVALID',
      });
    assert.throws(() => parseProvisioning(changed((json) => void (json['lines'] = []))), {
      code: 'DEVICE_PROVISIONING_INVALID',
    });
  });

  test('a line for other hardware is refused', () => {
    const foreign = changed((json) => {
      const [line] = json['lines'] as Record<string, unknown>[];
      if (line) line['classId'] = '00'.repeat(16);
    });
    assert.throws(() => parseProvisioning(foreign), { code: 'DEVICE_PROVISIONING_INVALID' });
  });

  test('operators of another root are nobody to it, though they sign a ledger of the same author', async () => {
    const elsewhere = new SampleLedger(4, { maxAge: 999_999 });
    const same = elsewhere.author('author');
    const release = availableRelease(elsewhere, same, 1n);
    const device = await SampleDevice.boot(ledger, author);
    const { code } = await device.poll(honestNode(elsewhere, same, [release]));
    assert.equal(code, 'LOG_COSIGNATURE_INVALID');
    assert.equal(device.runs, undefined);
  });

  test('a clock or a restart that lowers its time floor', async () => {
    const disk = new SimulatedDisk();
    const first = await openDeviceState({ directory: 'state', floor: 1000, files: disk });
    assert.equal(first.state.floor, 1000);
    await first.update((state) => ({ ...state, floor: 2000 }));
    const again = await openDeviceState({ directory: 'state', floor: 1000, files: disk });
    assert.equal(again.state.floor, 2000);
    await assert.rejects(
      again.update((state) => ({ ...state, floor: 1500 })),
      { code: 'DEVICE_STATE_ROLLBACK' },
    );
    const reprovisioned = await openDeviceState({ directory: 'state', floor: 3000, files: disk });
    assert.equal(reprovisioned.state.floor, 3000);
  });
});
