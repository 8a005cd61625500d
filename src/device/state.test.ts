import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { CUTS, PowerGone, SimulatedDisk } from './simulated-disk.ts';
import { openDeviceState, withConfirmed, withProof, type DeviceState } from './state.ts';

const LINE = `${'a'.repeat(64)}/${'b'.repeat(32)}/${'c'.repeat(32)}/stable`;
const directory = '/device';
const FLOOR = 1_000;

function head(size: number): { size: number; root: string } {
  return { size, root: size.toString(16).padStart(64, '0') };
}

async function accepted(files = new SimulatedDisk()) {
  const file = await openDeviceState({ directory, floor: FLOOR, files });
  await file.update((state) =>
    withConfirmed(
      withProof(state, { head: head(9), floor: 2_000, line: LINE, lowest: 3n, chain: null }),
      LINE,
      {
        sequence: 5n,
        digest: 'd'.repeat(64),
      },
    ),
  );
  return { file, files };
}

test('starts at the provisioned floor and keeps what was accepted', async () => {
  const files = new SimulatedDisk();
  const fresh = await openDeviceState({ directory, floor: FLOOR, files });
  assert.equal(fresh.state.floor, FLOOR);
  assert.equal(fresh.state.head, null);
  const { file } = await accepted(files);
  const again = await openDeviceState({ directory, floor: FLOOR, files });
  assert.deepEqual(again.state, file.state);
  assert.deepEqual(again.state.lines.get(LINE), {
    chain: null,
    lowest: 3n,
    confirmed: { sequence: 5n, digest: 'd'.repeat(64) },
  });
});

suite('T17 nothing that was accepted is taken back', () => {
  const line = (state: DeviceState) =>
    state.lines.get(LINE) ?? { chain: null, lowest: 0n, confirmed: null };
  const attempts: Readonly<Record<string, (state: DeviceState) => DeviceState>> = {
    'an older head': (state) => ({ ...state, head: head(8) }),
    'no head': (state) => ({ ...state, head: null }),
    'another root of the same size': (state) => ({
      ...state,
      head: { ...head(9), root: '0'.repeat(64) },
    }),
    'an earlier floor': (state) => ({ ...state, floor: 1_999 }),
    'a smaller counter': (state) => ({ ...state, counter: -1 }),
    'a lower lowest': (state) => ({
      ...state,
      lines: new Map([[LINE, { ...line(state), lowest: 2n }]]),
    }),
    'a forgotten line': (state) => ({ ...state, lines: new Map() }),
    'an older confirmed release': (state) => ({
      ...state,
      lines: new Map([[LINE, { ...line(state), confirmed: { sequence: 4n, digest: '' } }]]),
    }),
    'another release of the confirmed sequence': (state) => ({
      ...state,
      lines: new Map([
        [LINE, { ...line(state), confirmed: { sequence: 5n, digest: 'e'.repeat(64) } }],
      ]),
    }),
  };
  for (const [what, change] of Object.entries(attempts))
    test(what, async () => {
      const { file } = await accepted();
      const before = file.state;
      await assert.rejects(file.update(change), { code: 'DEVICE_STATE_ROLLBACK' });
      assert.equal(file.state, before);
      await file.update((state) => ({ ...state, counter: state.counter + 1 }));
    });
});

test('a proof never lowers the floor or lowest, a fall back not the confirmed release', async () => {
  const { file } = await accepted();
  await file.update((state) =>
    withProof(state, { head: head(10), floor: 5, line: LINE, lowest: 1n, chain: null }),
  );
  assert.equal(file.state.floor, 2_000);
  assert.equal(file.state.lines.get(LINE)?.lowest, 3n);
  const before = file.state;
  await file.update((state) =>
    withConfirmed(state, LINE, { sequence: 4n, digest: 'f'.repeat(64) }),
  );
  assert.equal(file.state, before);
});

test('a floor of a later provisioning counts', async () => {
  const { files } = await accepted();
  assert.equal((await openDeviceState({ directory, floor: 9_000, files })).state.floor, 9_000);
});

test('a file that can not be read is an error, never a reset', async () => {
  for (const spoil of [
    async (files: SimulatedDisk) => files.damage(`${directory}/device-state`, 40),
    async (files: SimulatedDisk) => files.truncate(`${directory}/device-state`, 0),
  ]) {
    const { files } = await accepted();
    await spoil(files);
    await assert.rejects(openDeviceState({ directory, floor: FLOOR, files }), {
      code: 'DEVICE_STATE_CORRUPT',
    });
  }
});

test('a power cut leaves the old state or the new one', async () => {
  for (const cut of CUTS)
    for (const when of ['before', 'after'] as const)
      for (let n = 0; n < 5; n++) {
        const { file, files } = await accepted();
        files.cut({ names: 'kept', bytes: 'kept' });
        files.failAt(n, when);
        const proof = { head: head(20), floor: 3_000, line: LINE, lowest: 4n, chain: null };
        await assert.rejects(
          file.update((state) => withProof(state, proof)),
          PowerGone,
        );
        files.cut(cut);
        const { state } = await openDeviceState({ directory, floor: FLOOR, files });
        assert.ok(state.head?.size === 9 || state.head?.size === 20);
        assert.equal(state.floor, state.head.size === 9 ? 2_000 : 3_000);
      }
});
