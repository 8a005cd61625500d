import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { sha256 } from '#crypto';
import { compare, concat, equal, hex, utf8 } from '../bytes.ts';
import { codeOf } from '../errors.ts';
import { mapRoot, proveMap, updateMap, type PageStore } from './map-tree.ts';
import { bitAt, decodeMapProof, encodeMapProof, verifyMapProof } from './prefix-map.ts';

function memoryPages(): PageStore & {
  reads: number;
  writes: number;
  pages: Map<string, Uint8Array>;
} {
  const pages = new Map<string, Uint8Array>();
  return {
    pages,
    reads: 0,
    writes: 0,
    get(path) {
      this.reads++;
      return pages.get(path);
    },
    put(path, page) {
      this.writes++;
      pages.set(path, page);
    },
  };
}

interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

const change = ({ key, value }: Entry) => ({ key, valueHash: sha256(value) });

/** docs/spec/log.md, word for word. */
function naiveRoot(entries: readonly Entry[], depth = 0): Uint8Array {
  if (entries.length === 0) return new Uint8Array(32);
  const [first] = entries;
  if (entries.length === 1 && first !== undefined)
    return sha256(concat(Uint8Array.of(2), first.key, sha256(first.value)));
  const left = entries.filter(({ key }) => bitAt(key, depth) === 0);
  const right = entries.filter(({ key }) => bitAt(key, depth) === 1);
  return sha256(concat(Uint8Array.of(3), naiveRoot(left, depth + 1), naiveRoot(right, depth + 1)));
}

const randomKey = fc.uint8Array({ minLength: 32, maxLength: 32 });
/** Keys that an attacker would choose: equal but for a few bits at a few places. */
const closeKey = fc
  .tuple(fc.constantFrom(0, 3, 4, 7, 250, 252, 255), fc.nat(15))
  .map(([bit, low]) => {
    const key = new Uint8Array(32);
    key[bit >> 3] = (key[bit >> 3] as number) ^ (0x80 >> (bit & 7));
    key[31] = (key[31] as number) ^ low;
    return key;
  });
const entries = fc.uniqueArray(
  fc.record({
    key: fc.oneof(randomKey, closeKey),
    value: fc.uint8Array({ maxLength: 4 }),
  }),
  { maxLength: 40, selector: ({ key }) => hex(key) },
);

test('any order and any batches of inserts give the root of the specification', () => {
  fc.assert(
    fc.property(
      entries.chain((all) =>
        fc.tuple(
          fc.constant(all),
          fc.array(fc.nat(9)),
          fc.shuffledSubarray(all, { minLength: all.length }),
        ),
      ),
      ([all, batches, shuffled]) => {
        const expected = hex(naiveRoot(all));
        const store = memoryPages();
        let rest = shuffled;
        for (const size of batches) {
          updateMap(store, rest.slice(0, size).map(change));
          rest = rest.slice(size);
        }
        assert.equal(hex(updateMap(store, rest.map(change))), expected);
        assert.equal(hex(mapRoot(store)), expected);
        const once = memoryPages();
        assert.equal(hex(updateMap(once, all.map(change))), expected);
        assert.deepEqual(once.pages, store.pages);
      },
    ),
    { numRuns: 150 },
  );
});

test('a changed value gives the root of the map with that value; the last of one batch counts', () => {
  fc.assert(
    fc.property(entries, fc.nat(), (all, pick) => {
      fc.pre(all.length > 0);
      const store = memoryPages();
      updateMap(store, all.map(change));
      const target = all[pick % all.length] as Entry;
      const updated = { key: target.key, value: utf8('other') };
      const batch = [{ key: target.key, value: utf8('first') }, updated];
      const expected = naiveRoot(all.map((entry) => (entry === target ? updated : entry)));
      assert.equal(hex(updateMap(store, batch.map(change))), hex(expected));
    }),
    { numRuns: 60 },
  );
});

test('every key is proven with its value, every other key absent, and nothing else', () => {
  fc.assert(
    fc.property(
      entries,
      fc.array(fc.oneof(randomKey, closeKey), { maxLength: 5 }),
      (all, others) => {
        const store = memoryPages();
        updateMap(store, all.map(change));
        const root = mapRoot(store);
        const absent = others.filter((key) => all.every((entry) => !equal(entry.key, key)));
        const claims = [...all, ...absent.map((key) => ({ key, value: null }))];
        for (const { key, value } of claims) {
          const proof = decodeMapProof(encodeMapProof(proveMap(store, key)));
          assert.equal(hex(verifyMapProof({ key, value, proof })), hex(root));
          const leads = (claim: { key: Uint8Array; value: Uint8Array | null }): boolean => {
            try {
              return equal(verifyMapProof({ ...claim, proof }), root);
            } catch (error) {
              assert.match(codeOf(error) ?? '', /^LOG_MAP_PROOF_/);
              return false;
            }
          };
          assert.ok(!leads({ key, value: value === null ? utf8('x') : null }));
          if (value !== null) assert.ok(!leads({ key, value: concat(value, utf8('x')) }));
          // Under another key the proof shows nothing that is not so: never a value that is not there.
          for (const claim of claims)
            if (!equal(claim.key, key) && value !== null)
              assert.ok(!leads({ key: claim.key, value }));
          for (const entry of all)
            if (!equal(entry.key, key)) assert.ok(!leads({ key: entry.key, value: null }));
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('a batch reads and writes each page once, and leaves unchanged pages alone', () => {
  const store = memoryPages();
  const all = Array.from({ length: 2000 }, (_, i) =>
    change({ key: sha256(utf8(`${i}`)), value: utf8('v') }),
  );
  updateMap(store, all);
  assert.equal(store.writes, store.pages.size);
  store.reads = 0;
  store.writes = 0;
  updateMap(store, all.slice(0, 300));
  assert.ok(store.reads <= store.pages.size);
  assert.equal(store.writes, 0);
});

test('a missing or damaged page is refused', () => {
  const store = memoryPages();
  const all = Array.from({ length: 400 }, (_, i) =>
    change({ key: sha256(utf8(`${i}`)), value: utf8('v') }),
  );
  updateMap(store, all);
  const key = (all[0] as (typeof all)[0]).key;
  const path = hex(key).slice(0, 1);
  const page = store.get(path) as Uint8Array;
  store.put(path, page.slice(0, -1));
  assert.throws(() => proveMap(store, key), { code: 'LOG_MAP_PAGE_CORRUPT' });
  store.put(path, new Uint8Array(3));
  assert.throws(() => proveMap(store, key), { code: 'LOG_MAP_PAGE_CORRUPT' });
  store.put(path, new Uint8Array([0, 0, 1, 0]));
  assert.throws(() => updateMap(store, all), { code: 'LOG_MAP_PAGE_CORRUPT' });
  store.pages.delete(path);
  assert.throws(() => proveMap(store, key), { code: 'LOG_NODE_MISSING' });
  assert.throws(() => updateMap(store, all), { code: 'LOG_NODE_MISSING' });
});

test('keys and value hashes have 32 bytes', () => {
  const store = memoryPages();
  const short = { key: new Uint8Array(31), valueHash: new Uint8Array(32) };
  assert.throws(() => updateMap(store, [short]), { code: 'LOG_OUT_OF_RANGE' });
  assert.throws(() => proveMap(store, short.key), { code: 'LOG_OUT_OF_RANGE' });
  assert.equal(compare(mapRoot(store), new Uint8Array(32)), 0);
});
