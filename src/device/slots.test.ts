import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { sha256 } from '#crypto';
import { hex, utf8 } from '../bytes.ts';
import { bootStateFromJson, bootStateToJson } from './boot-record.ts';
import { parseRecord } from './record.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { emptyBootState, MAX_FAILED, type BootState, type SlotImage } from './slot-state.ts';
import { openSlots, type Slots } from './slots.ts';

const FOLDER = '/device';
const LINE = `${'a'.repeat(64)}/${'b'.repeat(32)}/${'c'.repeat(32)}/stable`;

function content(sequence: number): Uint8Array {
  return utf8(`image ${sequence}`);
}

function imageOf(sequence: number): SlotImage {
  const bytes = content(sequence);
  return {
    digest: hex(sha256(utf8(`manifest ${sequence}`))),
    line: LINE,
    sequence: BigInt(sequence),
    version: `${sequence}.0.0`,
    sha256: hex(sha256(bytes)),
    size: bytes.length,
  };
}

async function install(slots: Slots, sequence: number): Promise<void> {
  const file = await slots.begin(imageOf(sequence));
  await slots.files.write(file, 0, content(sequence));
  await slots.complete();
  await slots.startTrial();
  await slots.confirm();
}

async function device(...sequences: number[]): Promise<{ disk: SimulatedDisk; slots: Slots }> {
  const disk = new SimulatedDisk();
  const slots = await openSlots({ directory: FOLDER, files: disk });
  for (const sequence of sequences) await install(slots, sequence);
  return { disk, slots };
}

test('T19 after a confirm the slots alternate and the last one stays', async () => {
  const { disk, slots } = await device(1, 2);
  assert.equal(slots.state.active, 'b');
  const again = await openSlots({ directory: FOLDER, files: disk });
  assert.deepEqual(again.state, slots.state);
  assert.equal(again.choice()?.image.sequence, 2n);
  assert.equal(again.state.slots.a?.sequence, 1n);
});

test('the inactive slot is given up before its first byte changes', async () => {
  const { slots } = await device(1, 2);
  await slots.begin(imageOf(3));
  assert.equal(slots.state.slots.a, null);
  assert.equal(slots.state.incoming?.image.sequence, 3n);
  assert.equal(slots.choice()?.image.sequence, 2n);
});

test('a part of the same image stays, a part of another goes', async () => {
  const { disk, slots } = await device(1);
  const file = await slots.begin(imageOf(2));
  await disk.write(file, 0, content(2).subarray(0, 3));
  await slots.begin(imageOf(2));
  assert.equal(await disk.size(file), 3);
  await slots.begin(imageOf(3));
  assert.equal(await disk.size(file), 0);
});

test('an image that is not the expected one is never armed', async () => {
  const { disk, slots } = await device(1);
  const file = await slots.begin(imageOf(2));
  await disk.write(file, 0, content(3));
  await assert.rejects(slots.complete(), { code: 'DEVICE_IMAGE_CORRUPT' });
  assert.equal(slots.state.trial, null);
  assert.equal(await disk.size(file), 0);
  await assert.rejects(
    device().then(({ slots: fresh }) => fresh.complete()),
    {
      code: 'DEVICE_SLOT_STATE',
    },
  );
});

test('nothing is installed while a trial is pending, nothing larger than a slot', async () => {
  const { disk, slots } = await device(1);
  const file = await slots.begin(imageOf(2));
  await disk.write(file, 0, content(2));
  await slots.complete();
  await assert.rejects(slots.begin(imageOf(3)), { code: 'DEVICE_TRIAL_RUNNING' });
  const small = await openSlots({ directory: '/small', files: new SimulatedDisk(), slotBytes: 4 });
  await assert.rejects(small.begin(imageOf(1)), { code: 'DEVICE_IMAGE_TOO_LARGE' });
});

test('T19 a digest whose trial failed is not retried by itself', async () => {
  const { disk, slots } = await device(1);
  const file = await slots.begin(imageOf(2));
  await disk.write(file, 0, content(2));
  await slots.complete();
  await slots.startTrial();
  await slots.rollback(true);
  assert.equal(slots.choice()?.image.sequence, 1n);
  const again = await openSlots({ directory: FOLDER, files: disk });
  await assert.rejects(again.begin(imageOf(2)), { code: 'DEVICE_TRIAL_FAILED_BEFORE' });
  await again.begin(imageOf(2), { retry: true });
  await disk.write(file, 0, content(2));
  await again.complete();
  await again.startTrial();
  await again.confirm();
  assert.deepEqual(again.state.failed, []);
});

suite('T19 falling back from a damaged image', () => {
  test('goes to a confirmed slot that is not below lowest', async () => {
    const { disk, slots } = await device(1, 2);
    disk.damage(slots.path('b'), 2);
    await assert.rejects(slots.verify('b'), { code: 'DEVICE_IMAGE_CORRUPT' });
    await slots.fallBack(() => 1n);
    assert.equal(slots.choice()?.image.sequence, 1n);
  });

  test('is refused below lowest, when lowest is unknown, and to an empty slot', async () => {
    const { slots } = await device(1, 2);
    await assert.rejects(
      slots.fallBack(() => 2n),
      { code: 'DEVICE_SLOT_STATE' },
    );
    await assert.rejects(
      slots.fallBack(() => undefined),
      { code: 'DEVICE_SLOT_STATE' },
    );
    const single = await device(1);
    await assert.rejects(
      single.slots.fallBack(() => 0n),
      { code: 'DEVICE_SLOT_STATE' },
    );
  });
});

test('the list of failed digests is bounded', async () => {
  const { disk, slots } = await device(1);
  for (let i = 2; i < MAX_FAILED + 5; i++) {
    const file = await slots.begin(imageOf(i));
    await disk.write(file, 0, content(i));
    await slots.complete();
    await slots.rollback(true);
  }
  assert.equal(slots.state.failed.length, MAX_FAILED);
  assert.equal(slots.state.failed.at(-1), imageOf(MAX_FAILED + 4).digest);
});

suite('a boot state that can not be read is an error, never a reset', () => {
  test('a flipped bit, a cut file, no file', async () => {
    for (const spoil of [
      async (disk: SimulatedDisk) => disk.damage(`${FOLDER}/boot-state`, 20),
      async (disk: SimulatedDisk) => disk.truncate(`${FOLDER}/boot-state`, 30),
      async (disk: SimulatedDisk) => disk.truncate(`${FOLDER}/boot-state`, 0),
      async (disk: SimulatedDisk) => disk.remove(`${FOLDER}/boot-state`),
    ]) {
      const { disk } = await device(1);
      await spoil(disk);
      await assert.rejects(openSlots({ directory: FOLDER, files: disk }), {
        code: 'DEVICE_STATE_CORRUPT',
      });
    }
  });

  test('states that contradict themselves', async () => {
    const { state } = (await device(1, 2)).slots;
    const one = state.slots.a;
    const contradictions: readonly BootState[] = [
      { ...state, active: 'a', slots: { a: null, b: null } },
      { ...state, trial: { slot: 'b', left: 1 } },
      { ...state, trial: { slot: 'a', left: 1 } },
      { ...state, slots: { ...state.slots, a: null }, trial: { slot: 'a', left: 1 } },
      { ...state, slots: { ...state.slots, b: one && { ...one, confirmed: false } } },
      { ...state, incoming: { slot: 'a', image: imageOf(3) } },
      {
        ...state,
        slots: { ...state.slots, a: one && { ...one, confirmed: false } },
        trial: { slot: 'a', left: 99 },
      },
    ];
    for (const wrong of contradictions)
      assert.throws(() => bootStateFromJson(bootStateToJson(wrong)), {
        code: 'DEVICE_STATE_CORRUPT',
      });
  });

  test('any bytes and any JSON end in a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        assert.throws(() => parseRecord(bytes, 'record'), { code: 'DEVICE_STATE_CORRUPT' });
      }),
    );
    const valid = bootStateToJson(emptyBootState) as Record<string, unknown>;
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(valid)), fc.jsonValue(), (key, value) => {
        fc.pre(JSON.stringify(value) !== JSON.stringify(valid[key]));
        let read: BootState;
        try {
          read = bootStateFromJson({ ...valid, [key]: value });
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'DEVICE_STATE_CORRUPT');
          return;
        }
        assert.deepEqual(bootStateToJson(read), { ...valid, [key]: value });
      }),
    );
  });

  test('an image that could not be read back is not written', async () => {
    const { slots } = await device(1);
    const before = slots.state;
    await assert.rejects(slots.begin({ ...imageOf(2), version: 'x\ny' }), {
      code: 'DEVICE_STATE_CORRUPT',
    });
    assert.equal(slots.choice()?.image.sequence, 1n);
    assert.equal(slots.state.active, before.active);
  });
});
