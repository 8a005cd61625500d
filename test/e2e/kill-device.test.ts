/** A device killed at random moments of an install boots the old or the new release, never neither. */
import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildSampleFirmware } from '../../src/device/firmware/sample.ts';
import { openDevice } from '../../src/device/device.ts';
import { startCommand } from '../../src/testing/processes.ts';
import { startTestNetwork } from '../../src/testing/network.ts';
import { testAuthor } from '../../src/testing/network-author.ts';
import { seeded, seedOf } from '../../src/testing/seeded.ts';

const KILLS = 50;
const AT_ONCE = 2;

test(`a device killed ${KILLS} times`, { timeout: 420_000 }, async (t) => {
  const random = seeded(seedOf((line) => t.diagnostic(line)));
  await using network = await startTestNetwork({ operators: 1 });
  const author = await testAuthor(network);
  const firmware = (version: string): Uint8Array =>
    buildSampleFirmware({ version, model: 'lamp', size: 400_000 });
  const line = author.line();
  const old = await author.publish({ line, version: '1.0.0', image: firmware('1.0.0') });
  const template = network.device([{ line: old.release, anchor: author.anchor }]);
  {
    await using device = await template.open();
    assert.equal((await device.agent.poll()).outcome, 'installed');
  }
  await author.publish({ line, version: '2.0.0', image: firmware('2.0.0') });
  const folderOf = async (name: string): Promise<string> => {
    const folder = join(network.folder, name);
    await cp(template.folder, folder, { recursive: true });
    return folder;
  };

  // How long an install takes here, from the accepted proof to its outcome.
  const whole = startCommand(['device', 'poll', await folderOf('whole')]);
  await whole.event(({ type }) => type === 'accepted');
  const from = performance.now();
  await whole.event(({ type }) => type === 'result');
  const took = performance.now() - from;
  await whole.ended;

  const booted = new Map<string, number>();
  const killed = async (kill: number): Promise<void> => {
    const folder = await folderOf(`killed-${kill}`);
    const device = startCommand(['device', 'poll', folder]);
    await device.event(({ type }) => type === 'accepted');
    await sleep(random() * took * 1.1);
    await device.kill();
    await using again = await openDevice(folder, { clock: network.clock });
    const { status } = again.bootloader;
    assert.ok(status.kind === 'running' && status.healthy, JSON.stringify(status, plain));
    assert.ok(['1.0.0', '2.0.0'].includes(status.image.version));
    assert.equal(status.reported, status.image.version);
    booted.set(status.image.version, (booted.get(status.image.version) ?? 0) + 1);
    // And it goes on from there.
    const polled = await again.agent.poll();
    assert.ok(
      polled.outcome === 'installed' || polled.outcome === 'up-to-date',
      JSON.stringify(polled),
    );
    const end = again.bootloader.status;
    assert.ok(end.kind === 'running' && end.image.version === '2.0.0');
  };
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < KILLS) await killed(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  t.diagnostic(
    `install ${Math.round(took)} ms; booted after the kill: ${JSON.stringify([...booted])}`,
  );
  assert.ok((booted.get('1.0.0') ?? 0) > 0, 'some were killed before the trial');
});

function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
