import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#crypto';
import { fail } from '../errors.ts';
import { cidText, rawCid, verifyBlock } from './cid.ts';
import { fetchImage } from './fetch.ts';
import type { FetchOptions } from './fetch.ts';
import type { Holder } from './holder.ts';
import type { Store } from './store.ts';
import { CHUNK_BYTES, describeImage } from './unixfs.ts';
import type { Block, ImageDescription } from './unixfs.ts';

interface MemoryStore extends Store {
  readonly blocks: Map<string, Uint8Array>;
}

function memoryStore(): MemoryStore {
  const blocks = new Map<string, Uint8Array>();
  return {
    blocks,
    has: async (cid) => blocks.has(cidText(cid)),
    get: async (cid) => blocks.get(cidText(cid)),
    put: async (cid, bytes) => {
      verifyBlock(cid, bytes);
      blocks.set(cidText(cid), bytes);
    },
    delete: async (cid) => void blocks.delete(cidText(cid)),
    async *list() {},
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const held = new Map<string, Uint8Array>();
const COUNT = 24;
/** 24 chunks, of which two are equal and the last is short. */
function* imageParts(): Generator<Uint8Array> {
  for (let index = 0; index < COUNT; index++)
    yield new Uint8Array(index === COUNT - 1 ? 100 : CHUNK_BYTES).fill(index === 5 ? 4 : index);
}
const image: ImageDescription = await describeImage(imageParts(), ({ cid, bytes }: Block) => {
  held.set(cidText(cid), bytes.slice());
});
const chunkCid = (index: number): string => cidText(rawCid(image.chunks[index] as Uint8Array));

interface TestHolder extends Holder {
  asked: number;
}

function holder(
  name: string,
  answer: (cid: string, bytes: Uint8Array, signal: AbortSignal) => Promise<Uint8Array> | Uint8Array,
): TestHolder {
  return {
    name,
    asked: 0,
    async getBlock(cid, maxBytes, signal) {
      this.asked += 1;
      const bytes = held.get(cidText(cid)) as Uint8Array;
      assert.equal(maxBytes, bytes.length);
      await pause(1);
      return answer(cidText(cid), bytes, signal);
    },
  };
}
const honest = (name: string): TestHolder => holder(name, (_cid, bytes) => bytes);

function gather(holders: readonly Holder[], more: Partial<FetchOptions> = {}) {
  const store = memoryStore();
  return {
    store,
    result: fetchImage({ ...image, holders, store, signal: AbortSignal.timeout(10_000), ...more }),
  };
}

test('three holders share the work: each block is asked of one of them', async () => {
  const holders = ['a', 'b', 'c'].map(honest);
  const progress: number[] = [];
  const { store, result } = gather(holders, { onProgress: ({ done }) => progress.push(done) });
  const { given, reused, banned } = await result;
  assert.equal(reused, 0);
  assert.deepEqual(banned, []);
  assert.equal(
    holders.reduce((sum, { asked }) => sum + asked, 0),
    COUNT - 1,
  );
  assert.equal(given.size, 3);
  assert.equal(progress.at(-1), image.size);
  assert.deepEqual(
    progress,
    progress.toSorted((a, b) => a - b),
  );
  // the root node is computed, not fetched
  assert.equal(store.blocks.size, COUNT);
  assert.ok(await store.has(image.root));
});

test('a holder that answers wrong bytes is banned and named; nothing of it is kept', async () => {
  for (const lie of [
    (bytes: Uint8Array) => bytes.with(0, 99),
    (bytes: Uint8Array) => bytes.subarray(1),
    () => new Uint8Array(0),
    () => new Uint8Array(3_000_000),
  ]) {
    const liar = holder('liar', (_cid, bytes) => lie(bytes));
    const lies: string[] = [];
    const { store, result } = gather([liar, honest('a')], { onLie: (name) => lies.push(name) });
    const { banned, given } = await result;
    assert.deepEqual(banned, ['liar']);
    assert.deepEqual(lies, ['liar']);
    assert.ok(liar.asked <= 6);
    assert.deepEqual([...given.keys()], ['a']);
    for (const [cid, bytes] of store.blocks) assert.deepEqual(bytes, held.get(cid) ?? bytes);
  }
});

test('only liars: STORE_UNAVAILABLE names what is missing and why', async () => {
  const { result } = gather([holder('liar', () => new Uint8Array(1))]);
  await assert.rejects(result, (error: { code: string; details: Record<string, unknown> }) => {
    assert.equal(error.code, 'STORE_UNAVAILABLE');
    assert.deepEqual(error.details, {
      missing: COUNT - 1,
      first: chunkCid(0),
      holders: 1,
      reasons: 'liar: STORE_DIGEST_MISMATCH',
    });
    return true;
  });
  await assert.rejects(gather([]).result, { code: 'STORE_UNAVAILABLE' });
});

test('what the store has is not fetched again, what was fetched before an end is kept', async () => {
  const store = memoryStore();
  let left = 10;
  const dying = holder('a', (_cid, bytes) => {
    if (left <= 0) fail('NET_UNREACHABLE');
    left -= 1;
    return bytes;
  });
  const limits = { rest: 1, failures: 2 };
  const first = fetchImage({ ...image, holders: [dying], store, limits });
  await assert.rejects(first, {
    code: 'STORE_UNAVAILABLE',
    details: {
      missing: COUNT - 1 - 10,
      first: chunkCid(11),
      holders: 1,
      reasons: 'a: NET_UNREACHABLE',
    },
  });
  assert.equal(store.blocks.size, 10);
  const second = honest('b');
  const result = await fetchImage({ ...image, holders: [second], store });
  assert.equal(result.reused, 10);
  assert.equal(second.asked, COUNT - 1 - 10);
});

test('a holder that fails for a while rests and comes back', async () => {
  let failures = 3;
  const shaky = holder('shaky', (_cid, bytes) => {
    if (failures > 0) {
      failures -= 1;
      fail('NET_TIMEOUT');
    }
    return bytes;
  });
  const { given } = await gather([shaky], { limits: { rest: 5, perHolder: 1 } }).result;
  assert.equal(given.get('shaky'), COUNT - 1);
});

test('a holder without some blocks is asked only for the others', async () => {
  const partial = holder('partial', (cid, bytes) =>
    cid === chunkCid(7) ? fail('STORE_BLOCK_MISSING') : bytes,
  );
  const { given } = await gather([partial, honest('a')]).result;
  assert.ok((given.get('a') ?? 0) >= 1);
  await assert.rejects(gather([partial]).result, {
    code: 'STORE_UNAVAILABLE',
    details: { missing: 1, first: chunkCid(7), holders: 1, reasons: '' },
  });
});

test('blocks that are slow to come are asked of another holder, and the slow request is ended', async () => {
  let ended = 0;
  const slow = holder(
    'slow',
    (_cid, _bytes, signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          ended += 1;
          reject(signal.reason as Error);
        });
      }),
  );
  const fast = honest('fast');
  const since = performance.now();
  const { given } = await gather([slow, fast], { limits: { hedge: 40 } }).result;
  assert.ok(performance.now() - since < 10_000);
  assert.equal(given.get('fast'), COUNT - 1);
  assert.equal(ended, slow.asked);
  // hedged only at the end: no block twice from the same holder
  assert.equal(fast.asked, COUNT - 1);
});

test('a holder that never answers and heeds no signal does not hang the gathering', async () => {
  const deaf = holder('deaf', () => new Promise(() => {}));
  const limits = { block: 20, rest: 1, failures: 2 };
  await assert.rejects(gather([deaf], { limits }).result, { code: 'STORE_UNAVAILABLE' });
});

test('the caller may give up', async () => {
  const controller = new AbortController();
  const { result } = gather([holder('deaf', () => new Promise(() => {}))], {
    signal: controller.signal,
  });
  setTimeout(() => controller.abort(), 20);
  await assert.rejects(result, { code: 'NET_ABORTED' });
  await assert.rejects(gather([honest('a')], { signal: AbortSignal.abort() }).result, {
    code: 'NET_ABORTED',
  });
});

test('a store that fails ends the gathering and blames no holder', async () => {
  const store = { ...memoryStore(), put: () => Promise.reject(new Error('disk full')) };
  const lies: string[] = [];
  const run = fetchImage({
    ...image,
    holders: [honest('a')],
    store,
    onLie: (name) => lies.push(name),
  });
  await assert.rejects(run, { message: 'disk full' });
  assert.deepEqual(lies, []);
});

test('a description that contradicts itself is refused, before or after its blocks', async () => {
  const asked = honest('a');
  const other = sha256(new Uint8Array(1));
  for (const lie of [{ size: image.size + 1 }, { root: rawCid(other) }, { size: 0 }])
    await assert.rejects(gather([asked], lie).result, {
      code: 'size' in lie && lie.size === 0 ? 'STORE_IMAGE_EMPTY' : 'STORE_LAYOUT_MISMATCH',
    });
  assert.equal(asked.asked, 0);
  await assert.rejects(gather([asked], { digest: other }).result, {
    code: 'STORE_DIGEST_MISMATCH',
  });
});
