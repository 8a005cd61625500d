import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encode } from '../../cbor/encode.ts';
import { CosignerWatch } from './cosigner-watch.ts';
import { DEVIATIONS, edited, EDITS } from './deviations.ts';
import type { FaultNetwork } from './network.ts';
import { Violations } from './violations.ts';

const root = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const row = (name: string, size: number, byte: number, time: number) => ({
  name,
  size,
  root: root(byte),
  time,
  signature: new Uint8Array(64),
});

/** What a watch says of each of these in turn. */
function watched(
  steps: (watch: CosignerWatch, record: (size: number, byte: number) => void) => void,
): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'watch-'));
  const file = join(folder, 'record');
  try {
    const violations = new Violations(() => undefined);
    const network = { node: () => ({ config: { record: file } }) } as unknown as FaultNetwork;
    steps(new CosignerWatch(network, violations), (size, byte) => {
      writeFileSync(file, encode(['tag', 'origin', root(0), size, root(byte), 1]));
    });
    return violations.all;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a cosigner with two roots of one size, or a smaller head than before, is noticed', () => {
  const honest = watched((watch) => {
    watch.take('b', [row('a', 3, 1, 10)]);
    watch.take('c', [row('a', 3, 1, 10), row('a', 5, 2, 12)]);
  });
  assert.deepEqual(honest, []);
  const forked = watched((watch) => {
    watch.take('b', [row('a', 3, 1, 10)]);
    watch.take('c', [row('a', 3, 2, 10)]);
  });
  assert.deepEqual(forked, ['a cosigned two roots of size 3, as c has it']);
  const backwards = watched((watch) => {
    watch.take('b', [row('a', 3, 1, 10)]);
    watch.take('c', [row('a', 2, 2, 11)]);
  });
  assert.deepEqual(backwards, ['a cosigned size 2 after 3']);
  const excused = watched((watch) => {
    watch.excuse('a');
    watch.take('b', [row('a', 3, 1, 10)]);
    watch.take('c', [row('a', 3, 2, 10)]);
  });
  assert.deepEqual(excused, []);
});

test('a record that goes back, or says another root than was signed, is noticed', () => {
  const back = watched((watch, record) => {
    record(5, 1);
    watch.take('a', []);
    record(4, 2);
    watch.take('a', []);
  });
  assert.deepEqual(back, ['the record of a went from 5 back to 4']);
  const other = watched((watch, record) => {
    record(5, 1);
    watch.take('a', [row('a', 5, 2, 10)]);
  });
  assert.deepEqual(other, ['a cosigned two roots of size 5, by its record']);
});

test('every deviation is an edit of the program as it is', () => {
  const src = join(import.meta.dirname, '../..');
  for (const deviation of DEVIATIONS)
    for (const edit of EDITS[deviation]) {
      const source = readFileSync(join(src, edit.file), 'utf8');
      assert.notEqual(edited(source, edit), source, `${deviation}: ${edit.file}`);
    }
  assert.throws(() => edited('a b b', { file: 'x', find: 'b', replace: 'c' }), /2 times/);
});
