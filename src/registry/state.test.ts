import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decode } from '../cbor/decode.ts';
import * as state from './state.ts';
import { memoryView, type View } from './view.ts';

const PAGE = join(import.meta.dirname, '../../docs/spec/state.md');
const id = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const image = { line: id(2), release: id(3), image: id(4) };

/** A view that has one record of every kind, and their names. */
function everyKind(): { readonly view: View; readonly names: readonly string[] } {
  const below = memoryView();
  const names = new Set<string>();
  const view: View = {
    ...below,
    set(name, value) {
      names.add(name);
      below.set(name, value);
    },
  };
  state.setPolicy(view, id(9));
  state.setPolicyIndex(view, 2, 7);
  state.setAuthor(view, {
    id: id(1),
    keys: [id(5)],
    retired: [],
    recovery: [id(6)],
    threshold: 1,
    name: 'Acme',
    operator: null,
    counters: [1n],
    recoveryCounter: 1n,
    lines: 1,
    delegations: [],
    links: [1],
    rotations: 0,
    status: 0,
    psk: id(8),
  });
  state.setAuthorLine(view, id(1), 0, id(2));
  state.setLine(view, id(2), {
    text: 'line',
    owner: id(1),
    delegates: [{ key: id(5), entry: id(6), counter: 1n, inForce: true }],
    inherited: [],
    links: [],
    last: { sequence: 1n, digest: id(3) },
    newest: null,
    pending: id(3),
    lowest: 0n,
    status: 0,
  });
  state.setRelease(view, id(2), {
    sequence: 1n,
    digest: id(3),
    entry: id(7),
    index: 3,
    issuer: id(1),
    keyId: id(1),
    status: 'withdrawn',
    applies: [0n, 1n],
    via: null,
    images: [{ component: 0, digest: id(4), size: 5 }],
    previous: null,
  });
  state.setAnchor(view, image, { size: 5, root: new Uint8Array(36), index: 4 });
  state.setHolds(view, image, [{ node: 'a/n', until: 9 }]);
  state.setNodeCounter(view, 'a/n', 1n);
  state.setBatchTime(view, 'a/n', 9);
  return { view, names: [...names] };
}

test('the page has a row for every kind of record, with as many elements as are written', () => {
  const rows = new Map(
    readFileSync(PAGE, 'utf8')
      .matchAll(/^\| `([a-z-]+(?:\/[A-Z/]+)?)` \| (.*) \|$/gm)
      .map(([, name = '', value = '']): [string, string] => [name, value]),
  );
  const { view, names } = everyKind();
  assert.equal(names.length, rows.size);
  for (const name of names) {
    const [kind = '', ...parts] = name.split('/');
    const row = [...rows].find(([row]) => {
      const [first, ...others] = row.split('/');
      return first === kind && others.length === parts.length;
    });
    assert.ok(row, name);
    if (kind === 'policy' && parts.length === 0) continue;
    const written = decode(view.get(name) ?? id(0), { maxBytes: 4096 });
    assert.ok(Array.isArray(written));
    if (kind !== 'hold') assert.equal(written.length, topLevel(row[1]), name);
  }
});

/** Elements of the outermost array in a row's text. */
function topLevel(text: string): number {
  let depth = 0;
  let count = 1;
  for (const char of text) {
    if (char === '[') depth++;
    if (char === ']' && --depth === 0) break;
    if (char === ',' && depth === 1) count++;
  }
  return count;
}

test('what is written is read back', () => {
  const { view } = everyKind();
  const author = state.getAuthor(view, id(1));
  assert.ok(author);
  assert.deepEqual(
    [author.keys, author.counters, author.recoveryCounter, author.name, author.operator],
    [[id(5)], [1n], 1n, 'Acme', null],
  );
  assert.deepEqual(state.getLine(view, id(2))?.last, { sequence: 1n, digest: id(3) });
  const release = state.getRelease(view, id(2), id(3));
  assert.deepEqual([release?.status, release?.applies], ['withdrawn', [0n, 1n]]);
  assert.deepEqual(state.getHolds(view, image), [{ node: 'a/n', until: 9 }]);
  assert.deepEqual(
    [state.getNodeCounter(view, 'a/n'), state.getNodeCounter(view, 'b/n')],
    [1n, 0n],
  );
});
