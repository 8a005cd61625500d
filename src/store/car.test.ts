import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { importer } from 'ipfs-unixfs-importer';
import { fixedSize } from 'ipfs-unixfs-importer/chunker';
import { balanced } from 'ipfs-unixfs-importer/layout';
import { sha256 } from '#crypto';
import { concat, hex, utf8 } from '../bytes.ts';
import { codeOf } from '../errors.ts';
import { readCar, writeCar } from './car.ts';
import { parseCid, rawCid } from './cid.ts';
import type { Block } from './unixfs.ts';

const vector = new Uint8Array(
  readFileSync(new URL('../../test/vectors/car/three-blocks.car', import.meta.url)),
);
const THREE = ['first', 'second', 'x'.repeat(300)].map((text) => block(utf8(text)));
const ROOTS = THREE.slice(0, 2).map(({ cid }) => cid);

function block(bytes: Uint8Array): Block {
  return { cid: rawCid(sha256(bytes)), bytes };
}

async function written(roots: readonly Uint8Array[], blocks: readonly Block[]) {
  const parts: Uint8Array[] = [];
  for await (const part of writeCar(roots, blocks)) parts.push(part);
  return concat(...parts);
}

async function readAll(source: Parameters<typeof readCar>[0]) {
  const { roots, blocks } = await readCar(source);
  const found = [];
  for await (const each of blocks) found.push(each);
  return { roots, blocks: found };
}

test('a file of @ipld/car is read, and ours has the same bytes', async () => {
  const { roots, blocks } = await readAll(vector);
  assert.deepEqual(roots, ROOTS);
  assert.deepEqual(
    blocks.map(({ cid, bytes }) => ({ cid, bytes })),
    THREE,
  );
  for (const { offset, bytes } of blocks)
    assert.deepEqual(vector.subarray(offset, offset + bytes.length), bytes);
  assert.deepEqual(await written(ROOTS, THREE), vector);
});

test('blocks of an IPFS importer come through', async () => {
  const blocks: Block[] = [];
  const blockstore = {
    put: (cid: { toString(): string }, bytes: Uint8Array) => {
      blocks.push({ cid: parseCid(cid.toString()), bytes: new Uint8Array(bytes) });
      return cid;
    },
  };
  const entries = importer([{ content: [new Uint8Array(600_000)] }], blockstore as never, {
    rawLeaves: true,
    cidVersion: 1,
    chunker: fixedSize({ chunkSize: 262_144 }),
    layout: balanced({ maxChildrenPerNode: 1024 }),
    wrapWithDirectory: false,
  });
  let root = new Uint8Array();
  for await (const { cid } of entries) root = new Uint8Array(parseCid(cid.toString()));
  const read = await readAll(await written([root], blocks));
  assert.deepEqual(
    read.blocks.map(({ cid }) => hex(cid)),
    blocks.map(({ cid }) => hex(cid)),
  );
});

test('the stream may come in any pieces', async () => {
  const whole = await readAll(vector);
  for (const size of [1, 2, 7, 100]) {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < vector.length; at += size) pieces.push(vector.subarray(at, at + size));
    assert.deepEqual(await readAll(pieces), whole);
  }
});

test('a changed byte of a block is found', async () => {
  const changed = vector.slice();
  changed[changed.length - 1]! ^= 1;
  await assert.rejects(readAll(changed), { code: 'STORE_DIGEST_MISMATCH' });
  const wrong = [{ cid: THREE[0]!.cid, bytes: THREE[1]!.bytes }];
  await assert.rejects(written(ROOTS, wrong), { code: 'STORE_DIGEST_MISMATCH' });
});

test('what is no CAR v1 of ours is refused', async () => {
  const malformed = { code: 'STORE_CAR_MALFORMED' };
  const header = (text: string): Uint8Array =>
    concat(Uint8Array.of(text.length / 2), Uint8Array.fromHex(text));
  const link = `d82a582500${hex(ROOTS[0]!)}`;
  const one = `a265726f6f747381${link}6776657273696f6e01`;
  assert.deepEqual((await readAll(header(one))).roots, [ROOTS[0]]);
  const bad: readonly Uint8Array[] = [
    new Uint8Array(),
    vector.subarray(0, vector.length - 1),
    vector.subarray(0, 20),
    concat(vector, Uint8Array.of(0)), // a section of no bytes
    concat(vector, Uint8Array.of(0x85)), // a length that does not end
    concat(vector, Uint8Array.of(0x85, 0x00)), // not the shortest
    concat(vector, Uint8Array.of(0xff, 0xff, 0xff, 0x7f)), // far beyond a block
    concat(vector, Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x01)),
    concat(vector, Uint8Array.of(5), utf8('short')),
    concat(vector, Uint8Array.of(36), new Uint8Array(36)), // no CID of ours
    header(one.replace(/01$/, '02')),
    header(`a265726f6f7473806776657273696f6e01`),
    header(`a26776657273696f6e0165726f6f747381${link}`),
    header(`a265726f6f747381${link.replace('d82a582500', 'd82a582501')}6776657273696f6e01`),
    header('80'),
    concat(Uint8Array.of(0xff, 0x7f), new Uint8Array(16_383)),
  ];
  for (const bytes of bad) await assert.rejects(readAll(bytes), malformed, hex(bytes).slice(-20));
  await assert.rejects(written([], THREE), malformed);
});

test('a block larger than a block may be is neither read nor written', async () => {
  const big = block(new Uint8Array(2_097_153));
  await assert.rejects(written(ROOTS, [big]), { code: 'STORE_BLOCK_TOO_LARGE' });
});

test('any bytes end in a code or in verified blocks', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(vector.length - 1), fc.nat(255), async (at, value) => {
      const changed = vector.slice();
      changed[at] = value;
      try {
        for (const { cid, bytes } of (await readAll(changed)).blocks)
          assert.deepEqual(rawCid(sha256(bytes)), cid);
      } catch (error) {
        assert.match(codeOf(error) ?? '', /^STORE_/, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
