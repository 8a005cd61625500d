import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hex } from '../../src/bytes.ts';
import { honestNode, imageOf, SampleDevice } from './sample-device.ts';
import { SampleLedger, type SampleAuthor, type SampleRelease } from './sample-ledger.ts';
import { proveLine } from './sample-proof.ts';

interface Scene {
  readonly ledger: SampleLedger;
  readonly author: SampleAuthor;
  readonly device: SampleDevice;
  readonly releases: SampleRelease[];
  publish(sequence: bigint): SampleRelease;
  poll(): ReturnType<SampleDevice['poll']>;
}

async function scene(): Promise<Scene> {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const device = await SampleDevice.boot(ledger, author);
  const releases: SampleRelease[] = [];
  return {
    ledger,
    author,
    device,
    releases,
    publish(sequence) {
      const release = ledger.publish(author, sequence);
      for (const operator of ['o1', 'o2']) ledger.apply(ledger.hold(operator, author, release));
      releases.push(release);
      return release;
    },
    poll: () => device.poll(honestNode(ledger, author, releases, { size: 9 + releases.length })),
  };
}

/** A device with 1 in one slot, 2 confirmed in the other, and the image of 2 damaged. */
async function damaged(lowest = 0n): Promise<Scene> {
  const found = await scene();
  for (const sequence of [1n, 2n]) {
    found.publish(sequence);
    assert.equal((await found.poll()).outcome, 'installed');
  }
  if (lowest > 0n) {
    const three = found.publish(3n);
    found.ledger.apply(found.ledger.withdraw(found.author, three, lowest));
    assert.equal((await found.poll()).outcome, 'up-to-date');
  }
  const { disk, slots, bootloader } = found.device;
  await disk.write(slots.path(slots.state.active!), 0, imageOf(1n));
  await bootloader.reboot();
  return found;
}

suite('T19: slots', () => {
  test('a damaged image gives way to the other slot, and the same release is installed again', async () => {
    const found = await damaged();
    const [one, two] = found.releases as [SampleRelease, SampleRelease];
    assert.equal(found.device.runs, hex(one.digest));
    const again = await found.poll();
    assert.deepEqual([again.outcome, again.digest], ['installed', hex(two.digest)]);
    assert.equal(found.device.runs, hex(two.digest));
    assert.equal((await found.poll()).outcome, 'up-to-date');
  });

  test('after the confirm nothing older is taken, whichever slot boots', async () => {
    const found = await damaged();
    const [one] = found.releases as [SampleRelease];
    const proof = proveLine(found.ledger, found.author.line, { size: 20 });
    const old = honestNode(found.ledger, found.author, [one]);
    const result = await found.device.poll({ ...old, latest: () => proof });
    assert.equal(result.code, 'RELEASE_UNKNOWN');
    assert.equal(found.device.runs, hex(one.digest));
  });

  test('the other slot does not boot below lowest: the device waits for an install', async () => {
    const found = await damaged(2n);
    assert.equal(found.device.bootloader.status.kind, 'unbootable');
    const again = await found.poll();
    assert.equal(again.outcome, 'installed', String(again.code));
    assert.equal(found.device.runs, hex(found.releases[1]!.digest));
  });

  test('a digest whose trial failed is not tried again by itself, and by a person it is', async () => {
    const found = await scene();
    found.publish(1n);
    assert.equal((await found.poll()).outcome, 'installed');
    const two = found.publish(2n);
    await failTrial(found.device, two);
    const refused = await found.poll();
    assert.equal(refused.code, 'DEVICE_TRIAL_FAILED_BEFORE');
    assert.equal(found.device.runs, hex(found.releases[0]!.digest));
    found.device.retry = true;
    assert.equal((await found.poll()).outcome, 'installed');
  });

  test('a failed trial does not keep the next release away', async () => {
    const found = await scene();
    await failTrial(found.device, found.publish(1n));
    assert.equal((await found.poll()).code, 'DEVICE_TRIAL_FAILED_BEFORE');
    const two = found.publish(2n);
    assert.equal((await found.poll()).digest, hex(two.digest));
  });
});

/** The release was installed and its trial ended badly. */
async function failTrial({ slots }: SampleDevice, release: SampleRelease): Promise<void> {
  const sequence = release.statement.counter;
  const bytes = imageOf(sequence);
  const file = await slots.begin({
    digest: hex(release.digest),
    line: release.statement.subject,
    sequence,
    version: '0',
    sha256: hex(release.image),
    size: bytes.length,
  });
  await slots.files.write(file, 0, bytes);
  await slots.complete();
  await slots.startTrial();
  await slots.rollback(true);
}
