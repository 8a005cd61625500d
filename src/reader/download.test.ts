import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { sha256 } from '#crypto';
import { hex } from '../bytes.ts';
import type { FirmamentError } from '../errors.ts';
import { createClient } from '../net/client.ts';
import { downloadImage, type DownloadReport, type ImageSource } from './download.ts';
import { httpImageSource, type RangeClient } from './image-source.ts';
import { SimulatedDisk } from '../device/simulated-disk.ts';

const FILE = '/device/a.cjs';
const image = Uint8Array.from({ length: 10_000 }, (_, i) => (i * 31) >> 3);
const forged = image.slice();
forged[5_000] = 0xff;

interface Behaviour {
  /** Breaks after so many bytes of an answer. */
  readonly breaksAfter?: number;
  readonly extra?: Uint8Array;
}

function source(name: string, bytes: Uint8Array, behaviour: Behaviour = {}) {
  const asked: number[] = [];
  return {
    name,
    asked,
    async *read(offset: number, length: number) {
      asked.push(offset);
      const { breaksAfter = Infinity, extra } = behaviour;
      for (let at = 0; at < length; at += 900) {
        if (at >= breaksAfter) throw new Error('connection reset');
        yield bytes.subarray(offset + at, offset + Math.min(at + 900, length));
      }
      if (extra) yield extra;
    },
  } satisfies ImageSource & { asked: number[] };
}

function fetchFrom(
  disk: SimulatedDisk,
  sources: readonly ImageSource[],
  more: { signal?: AbortSignal; idleMs?: number; slowest?: number } = {},
): Promise<DownloadReport> {
  const expected = { size: image.length, sha256: hex(sha256(image)) };
  return downloadImage({ files: disk, file: FILE, ...expected, sources, ...more });
}

async function disk(part = new Uint8Array()): Promise<SimulatedDisk> {
  const made = new SimulatedDisk();
  await made.write(FILE, 0, part);
  return made;
}

async function holdsImage(made: SimulatedDisk): Promise<void> {
  assert.deepEqual(await made.read(FILE, 0, 20_000), image);
}

test('one honest source', async () => {
  const made = await disk();
  const report = await fetchFrom(made, [source('one', image)]);
  await holdsImage(made);
  assert.deepEqual([...report.taken], [['one', image.length]]);
  assert.equal(report.resumedAt, 0);
  made.cut({ names: 'kept', bytes: 'lost' });
  await holdsImage(made); // it was synced
});

test('goes on from what is on the storage', async () => {
  const made = await disk(image.subarray(0, 4_000));
  const one = source('one', image);
  const report = await fetchFrom(made, [one]);
  await holdsImage(made);
  assert.deepEqual(one.asked, [4_000]);
  assert.equal(report.resumedAt, 4_000);
});

test('a whole image on the storage needs no source', async () => {
  const made = await disk(image);
  await fetchFrom(made, []);
  await holdsImage(made);
});

test('more on the storage than the image has is dropped', async () => {
  const made = await disk(new Uint8Array(20_000));
  await fetchFrom(made, [source('one', image)]);
  await holdsImage(made);
});

test('a source that breaks is followed by the next, which goes on where it broke', async () => {
  const made = await disk();
  const two = source('two', image);
  const report = await fetchFrom(made, [source('one', image, { breaksAfter: 3_000 }), two]);
  await holdsImage(made);
  assert.deepEqual(two.asked, [3_600]);
  assert.deepEqual(report.liars, []);
  assert.match(report.faults[0]?.reason ?? '', /reset/);
});

test('what came stays when no source has it all', async () => {
  const made = await disk();
  const broken = source('one', image, { breaksAfter: 900 });
  await assert.rejects(fetchFrom(made, [broken]), { code: 'DEVICE_DOWNLOAD_FAILED' });
  assert.equal(await made.size(FILE), 2_700); // three rounds
});

suite('a source that lies', () => {
  test('is named, and the image taken from another', async () => {
    const made = await disk();
    const liar = source('liar', forged);
    const report = await fetchFrom(made, [liar, source('honest', image)]);
    await holdsImage(made);
    assert.deepEqual(report.liars, ['liar']);
    assert.equal(liar.asked.length, 1);
  });

  test('poisons a part and breaks: the mixed image blames nobody and is taken again from one', async () => {
    const made = await disk();
    const liar = source('liar', forged, { breaksAfter: 6_000 });
    const report = await fetchFrom(made, [liar, source('honest', image)]);
    await holdsImage(made);
    assert.deepEqual(report.liars, []);
    assert.deepEqual([...report.taken.keys()], ['honest']);
  });

  test('is not blamed for a bad part that was on the storage', async () => {
    const made = await disk(forged.subarray(0, 6_000));
    const report = await fetchFrom(made, [source('honest', image)]);
    await holdsImage(made);
    assert.deepEqual(report.liars, []);
  });

  test('when all lie nothing stays', async () => {
    const made = await disk();
    const liars = [source('one', forged), source('two', forged)];
    await assert.rejects(fetchFrom(made, liars), { code: 'DEVICE_DOWNLOAD_MISMATCH' });
    assert.equal(await made.size(FILE), 0);
  });

  test('never gets more bytes written than the image has', async () => {
    const made = await disk();
    let largest = 0;
    const write = made.write.bind(made);
    made.write = (path, offset, bytes) => {
      largest = Math.max(largest, offset + bytes.length);
      return write(path, offset, bytes);
    };
    const endless: ImageSource = {
      name: 'endless',
      async *read() {
        for (;;) yield new Uint8Array(7_000);
      },
    };
    const extra = source('extra', image, { extra: new Uint8Array(100) });
    await fetchFrom(made, [endless, extra]);
    await holdsImage(made);
    assert.equal(largest, image.length);
  });
});

test('a source that hangs, drips or sends nothing is given up', async () => {
  const made = await disk();
  const hangs: ImageSource = {
    name: 'hangs',
    read: () => ({
      [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }),
    }),
  };
  const drips: ImageSource = {
    name: 'drips',
    async *read(offset) {
      for (let at = offset; ; at++) {
        await new Promise((resolve) => {
          setTimeout(resolve, 10);
        });
        yield image.subarray(at, at + 1);
      }
    },
  };
  const empty: ImageSource = {
    name: 'empty',
    async *read() {
      for (;;) yield new Uint8Array();
    },
  };
  const all = [hangs, drips, empty, source('honest', image)];
  const report = await fetchFrom(made, all, { idleMs: 60, slowest: 100_000 });
  await holdsImage(made);
  const faults = report.faults.map((fault) => fault.source);
  assert.deepEqual(faults, ['hangs', 'drips', 'empty']);
});

test('stops when told to, and keeps the part', async () => {
  const made = await disk();
  const stop = new AbortController();
  const stopping: ImageSource = {
    name: 'one',
    async *read() {
      yield image.subarray(0, 1_000);
      stop.abort();
      await new Promise(() => undefined);
    },
  };
  await assert.rejects(fetchFrom(made, [stopping], { signal: stop.signal }), {
    code: 'DEVICE_CANCELLED',
  });
  assert.equal(await made.size(FILE), 1_000);
});

suite('over HTTP', () => {
  type Answer = Awaited<ReturnType<RangeClient['stream']>>;
  const client = (status: number, contentRange?: string): RangeClient & { ranges: string[] } => {
    const ranges: string[] = [];
    return {
      ranges,
      async stream({ headers }): Promise<Answer> {
        const range = headers['range'] ?? '';
        ranges.push(range);
        const from = status === 206 ? Number(/\d+/.exec(range)?.[0]) : 0;
        return {
          status,
          headers: { 'content-range': contentRange ?? `${range.replace('=', ' ')}/10000` },
          body: (async function* () {
            yield image.subarray(from);
          })(),
          [Symbol.asyncDispose]: async () => undefined,
        };
      },
    };
  };

  test('asks for the rest', async () => {
    const made = await disk(image.subarray(0, 10));
    const http = client(206);
    await fetchFrom(made, [httpImageSource({ name: 'n', url: 'https://n/x', client: http })]);
    await holdsImage(made);
    assert.deepEqual(http.ranges, ['bytes=10-9999']);
  });

  test('another part, or all of it again, is refused', async () => {
    for (const http of [client(200), client(206, 'bytes 0-9999/10000'), client(204)]) {
      const made = await disk(image.subarray(0, 10));
      const one = httpImageSource({ name: 'n', url: 'https://n/x', client: http });
      await assert.rejects(fetchFrom(made, [one]), { code: 'DEVICE_DOWNLOAD_FAILED' });
      assert.equal(await made.size(FILE), 10);
    }
    const made = await disk();
    await fetchFrom(made, [
      httpImageSource({ name: 'n', url: 'https://n/x', client: client(200) }),
    ]);
    await holdsImage(made);
  });

  test("net's client fits", async () => {
    await using real = createClient({ pins: () => undefined });
    const one = httpImageSource({ name: 'n', url: 'https://127.0.0.1:9/x', client: real });
    await assert.rejects(fetchFrom(await disk(), [one]), (error: FirmamentError) =>
      String(error.details['faults']).includes('NET_PIN_MISMATCH'),
    );
  });
});
