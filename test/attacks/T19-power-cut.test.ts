import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex } from '../../src/bytes.ts';
import { CUTS, PowerGone, SimulatedDisk } from '../../src/device/simulated-disk.ts';
import { SampleLedger } from './sample-ledger.ts';
import { availableRelease, honestNode, SampleDevice } from './sample-device.ts';

const ledger = new SampleLedger();
const author = ledger.author('author');
const first = availableRelease(ledger, author, 1n);
const before = honestNode(ledger, author, [first], { size: 9 });
const second = availableRelease(ledger, author, 2n);
const after = honestNode(ledger, author, [first, second], { size: 12 });

/** A device that runs the first release; then the power goes at the `at`th change of the disk. Undefined: it did not. */
async function cutAt(at: number, when: 'before' | 'after'): Promise<SimulatedDisk | undefined> {
  const disk = new SimulatedDisk();
  const device = await SampleDevice.boot(ledger, author, disk);
  await device.poll(before);
  assert.equal(device.runs, hex(first.digest));
  disk.failAt(at, when);
  try {
    await device.poll(after);
    return undefined;
  } catch (error) {
    if (!(error instanceof PowerGone)) throw error;
    return disk;
  }
}

for (const cut of CUTS)
  test(`T19: power cut in an install, names ${cut.names}, bytes ${cut.bytes}: old or new boots, never neither`, async () => {
    const booted = new Set<string | undefined>();
    for (let at = 0; ; at++) {
      const disk = await cutAt(at, at % 2 === 0 ? 'before' : 'after');
      if (!disk) break;
      disk.cut(cut);
      const device = await SampleDevice.boot(ledger, author, disk);
      booted.add(device.runs);
      const { outcome } = await device.poll(after);
      assert.match(outcome, /^(?:installed|up-to-date)$/);
      assert.equal(device.runs, hex(second.digest));
    }
    assert.deepEqual(booted, new Set([hex(first.digest), hex(second.digest)]));
  });
