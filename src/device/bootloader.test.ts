// Real processes on a real disk.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { sha256 } from '#crypto';
import { hex, utf8 } from '../bytes.ts';
import { startBootloader, type BootEvent, type Bootloader } from './bootloader.ts';
import { diskFiles } from '../reader/files.ts';
import { buildSampleFirmware, type SampleOptions } from './firmware/sample.ts';
import { isRunnable, nodeRunner, parseHealth } from './firmware-process.ts';
import { openSlots, type Slots } from './slots.ts';

const LINE = `${'a'.repeat(64)}/${'b'.repeat(32)}/${'c'.repeat(32)}/stable`;

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'firmament-device-'));
  t.after(() => rm(made, { recursive: true, force: true }));
  return made;
}

async function install(slots: Slots, sequence: number, bytes: Uint8Array): Promise<string> {
  const sha = hex(sha256(bytes));
  const digest = hex(sha256(utf8(`manifest of ${sha}`)));
  const file = await slots.begin({
    digest,
    line: LINE,
    sequence: BigInt(sequence),
    version: `${sequence}.0.0`,
    sha256: sha,
    size: bytes.length,
  });
  await diskFiles.write(file, 0, bytes);
  await slots.complete();
  return digest;
}

function sample(sequence: number, more: Partial<SampleOptions> = {}): Uint8Array {
  return buildSampleFirmware({ version: `${sequence}.0.0`, model: 'lamp', ...more });
}

async function device(t: TestContext, directory?: string) {
  const slots = await openSlots({ directory: directory ?? (await folder(t)) });
  const events: BootEvent[] = [];
  const start = async (lowestOf = (_line: string): bigint | undefined => undefined) => {
    const bootloader = await startBootloader({
      slots,
      run: nodeRunner(process.execPath),
      lowestOf,
      healthMs: 3000,
      onEvent: (event) => events.push(event),
    });
    t.after(() => bootloader.stop());
    return bootloader;
  };
  return { slots, events, start };
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function gone(pid: number): Promise<void> {
  for (let i = 0; i < 200 && alive(pid); i++) await new Promise((r) => setTimeout(r, 20));
  assert.equal(alive(pid), false, 'the firmware is still running');
}

function pidOf({ status }: Bootloader): number {
  assert.equal(status.kind, 'running');
  return status.kind === 'running' ? status.pid : 0;
}

function running(bootloader: Bootloader) {
  const { status } = bootloader;
  return status.kind === 'running'
    ? { version: status.reported, healthy: status.healthy }
    : { kind: status.kind };
}

suite('sample firmware on real processes', { concurrency: 2 }, () => {
  test('a new device is empty, a trial is confirmed, an update replaces it', async (t) => {
    const { slots, events, start } = await device(t);
    const bootloader = await start();
    assert.deepEqual(running(bootloader), { kind: 'empty' });
    await install(slots, 1, sample(1, { size: 200_000 }));
    await bootloader.reboot();
    assert.deepEqual(running(bootloader), { version: '1.0.0', healthy: true });
    assert.equal(slots.state.slots.a?.confirmed, true);
    const before = pidOf(bootloader);
    await install(slots, 2, sample(2));
    assert.ok(alive(before)); // an install does not disturb what runs
    await bootloader.reboot();
    assert.deepEqual(running(bootloader), { version: '2.0.0', healthy: true });
    await gone(before);
    const printed = events.filter((event) => event.type === 'output').map(({ line }) => line);
    assert.ok(printed.includes('{"model":"lamp","version":"2.0.0"}'), printed.join('\n'));
    const after = pidOf(bootloader);
    await bootloader.stop();
    await gone(after);
    assert.deepEqual(running(bootloader), { kind: 'stopped' });
    const left = (await readdir(slots.directory)).toSorted();
    assert.deepEqual(left, ['a.cjs', 'b.cjs', 'boot-state']);
  });

  for (const broken of ['unhealthy', 'crash', 'silent'] as const)
    test(`T19 ${broken} firmware is rolled back`, async (t) => {
      const { slots, events } = await device(t);
      await install(slots, 1, sample(1));
      await slots.startTrial();
      await slots.confirm();
      const digest = await install(slots, 2, sample(2, { broken }));
      await using bootloader = await startBootloader({
        slots,
        run: nodeRunner(process.execPath),
        healthMs: 1200,
        onEvent: (event) => events.push(event),
      });
      assert.deepEqual(running(bootloader), { version: '1.0.0', healthy: true });
      assert.equal(slots.state.active, 'a');
      assert.deepEqual(slots.state.failed, [digest]);
      assert.ok(events.some((event) => event.type === 'rolled-back' && event.digest === digest));
      for (const event of events)
        if (event.type === 'started' && event.slot === 'b') await gone(event.pid);
      await assert.rejects(install(slots, 2, sample(2, { broken })), {
        code: 'DEVICE_TRIAL_FAILED_BEFORE',
      });
    });

  test('firmware that ends after its confirm is started again', async (t) => {
    const { slots, start } = await device(t);
    await install(slots, 1, sample(1));
    const bootloader = await start();
    const first = pidOf(bootloader);
    process.kill(first, 'SIGKILL');
    await gone(first);
    const deadline = Date.now() + 8000;
    const up = () => bootloader.status.kind === 'running' && bootloader.status.healthy;
    while ((!up() || pidOf(bootloader) === first) && Date.now() < deadline)
      await new Promise((r) => setTimeout(r, 30));
    assert.deepEqual(running(bootloader), { version: '1.0.0', healthy: true });
    assert.notEqual(pidOf(bootloader), first);
  });

  test('T19 a damaged image does not start; the other one only when it is still allowed', async (t) => {
    const { slots, events, start } = await device(t);
    await install(slots, 1, sample(1));
    const bootloader = await start();
    await install(slots, 2, sample(2));
    await bootloader.reboot();
    await diskFiles.write(slots.path('b'), 100, utf8('X'));
    await bootloader.stop();
    const refused = await start(() => 2n);
    assert.deepEqual(running(refused), { kind: 'unbootable' });
    assert.equal(events.at(-1)?.type, 'unbootable');
    const allowed = await start(() => 1n);
    assert.deepEqual(running(allowed), { version: '1.0.0', healthy: true });
  });

  test('an image that was damaged before its trial does not start and is not blamed', async (t) => {
    const { slots, events, start } = await device(t);
    await install(slots, 1, sample(1));
    await diskFiles.write(slots.path('a'), 100, utf8('X'));
    assert.deepEqual(running(await start()), { kind: 'empty' });
    assert.deepEqual(slots.state.failed, []);
    assert.ok(!events.some((event) => event.type === 'started'));
  });

  test('a folder with a long path', async (t) => {
    const long = join(await folder(t), 'x'.repeat(120));
    const { slots, start } = await device(t, long);
    await install(slots, 1, sample(1));
    assert.deepEqual(running(await start()), { version: '1.0.0', healthy: true });
  });

  test('without a runtime nothing is confirmed and no image blamed', async (t) => {
    const { slots } = await device(t);
    await install(slots, 1, sample(1));
    const run = nodeRunner(join(slots.directory, 'no-such-runtime'));
    await using bootloader = await startBootloader({ slots, run });
    assert.deepEqual(running(bootloader), { kind: 'empty' });
    assert.deepEqual(slots.state.failed, []);
  });

  test('SIGKILL of the bootloader leaves no firmware behind', async (t) => {
    const directory = await folder(t);
    await install(await openSlots({ directory }), 1, sample(1));
    const here = (name: string) => JSON.stringify(join(import.meta.dirname, name));
    const script = join(directory, 'bootloader.ts');
    await writeFile(
      script,
      `import { startBootloader } from ${here('bootloader.ts')};
       import { nodeRunner } from ${here('firmware-process.ts')};
       import { openSlots } from ${here('slots.ts')};
       const slots = await openSlots({ directory: ${JSON.stringify(directory)} });
       const { status } = await startBootloader({ slots, run: nodeRunner(process.execPath) });
       console.log(status.pid);
       setInterval(() => undefined, 1000);`,
    );
    const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    const [line] = (await child.stdout.take(1).toArray()) as Uint8Array[];
    const pid = Number(String(line));
    assert.ok(alive(pid));
    child.kill('SIGKILL');
    await gone(pid);
  });
});

test('any other file is opaque: unchanged, confirmed by its digest, not run', async (t) => {
  const { slots, events, start } = await device(t);
  const blob = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7) & 0xff);
  const nearly = utf8('#!firmament-app 10\nprocess.exit(0)');
  for (const [i, bytes] of [blob, nearly, new Uint8Array()].entries()) {
    await install(slots, i + 1, bytes);
    const bootloader = await start();
    assert.equal(bootloader.status.kind, 'opaque');
    const { active } = slots.state;
    assert.ok(active);
    assert.deepEqual(new Uint8Array(await readFile(slots.path(active))), bytes);
    await bootloader.stop();
  }
  assert.ok(!events.some((event) => event.type === 'started'));
});

test('the sample is the same bytes for the same options, of the size asked for', () => {
  const big = sample(1, { size: 1_500_001 });
  assert.equal(big.length, 1_500_001);
  assert.deepEqual(big, sample(1, { size: 1_500_001 }));
  assert.notDeepEqual(big, sample(2, { size: 1_500_001 }));
  assert.ok(isRunnable(big));
  assert.throws(() => sample(1, { size: 10 }), { code: 'DEVICE_IMAGE_CORRUPT' });
});

test('what firmware answers is read strictly', () => {
  assert.deepEqual(parseHealth(utf8('{"version":"1","healthy":true}\n')), {
    version: '1',
    healthy: true,
  });
  for (const answer of [
    '',
    'true',
    'null',
    '{}',
    '{"version":1,"healthy":true}',
    '{"version":"1"}',
  ])
    assert.throws(() => parseHealth(utf8(answer)), { code: 'DEVICE_FIRMWARE_SILENT' });
});
