/** From `publish` to a device that runs the release: the whole system on this machine. */
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { encodeKey } from '../src/cose/key.ts';
import { buildSampleFirmware } from '../src/device/firmware/sample.ts';
import { provisionDevice } from '../src/device/device.ts';
import { startDeviceProcess } from '../src/testing/processes.ts';
import { benchAuthor } from './support/bench-author.ts';
import { startBenchNetwork } from './support/bench-network.ts';
import type { BenchOptions, Row } from './support/row.ts';

const MODEL = 'lamp';
const IMAGE_BYTES = 256 * 1024;

export async function rows({ quick, say }: BenchOptions): Promise<readonly Row[]> {
  await using network = await startBenchNetwork({ operators: 4 });
  await using author = await benchAuthor(network);
  const publish = async (version: string): Promise<number> => {
    const image = buildSampleFirmware({ version, model: MODEL, size: IMAGE_BYTES });
    const release = await author.build(image, version);
    const began = performance.now();
    await release.publish();
    return began;
  };
  await publish('1.0.0');
  const folder = join(network.folder, 'device');
  provisionDevice(folder, {
    name: MODEL,
    model: MODEL,
    vendorId: author.line.vendor,
    classId: author.line.class,
    lines: [{ anchor: encodeKey(author.anchor), track: author.line.track }],
    root: network.root.bytes,
    floor: Math.floor(Date.now() / 1000) - 60,
    staleInstall: 'consent',
  });
  // Answers when an event says that this version runs.
  const waiting = new Map<string, (at: number) => void>();
  await using device = await startDeviceProcess(folder, {
    interval: 1,
    onEvent: ({ running }) => {
      const version = (running as { version?: unknown } | undefined)?.version;
      if (typeof version === 'string') waiting.get(version)?.(performance.now());
    },
  });
  const runs = (version: string): Promise<number> =>
    Promise.race([
      new Promise<number>((resolve) => waiting.set(version, resolve)),
      sleep(60_000, undefined, { ref: false }).then(() => {
        throw new Error(`the device did not boot ${version}\n${device.log().join('\n')}`);
      }),
    ]);
  await runs('1.0.0');
  const times: number[] = [];
  for (let i = 0; i < (quick ? 1 : 5); i++) {
    const version = `2.${i}.0`;
    const booted = runs(version);
    const began = await publish(version);
    times.push((await booted) - began);
    say(`${version}: ${Math.round(times.at(-1) ?? 0)} ms`);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const note = `4 nodes, a device that asks each second, ${IMAGE_BYTES / 1024} KiB of firmware, all on this machine; of ${times.length}`;
  return [
    {
      name: 'publish to booted, median',
      value: (sorted[sorted.length >> 1] ?? Number.NaN) / 1000,
      unit: 's',
      aim: { atMost: 2 },
      note,
    },
    { name: 'publish to booted, slowest', value: (sorted.at(-1) ?? Number.NaN) / 1000, unit: 's' },
  ];
}
