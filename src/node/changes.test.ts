import assert from 'node:assert/strict';
import { test } from 'node:test';
import { declareStatement, registerStatement } from '../author/statements.ts';
import { utf8 } from '../bytes.ts';
import { lineText } from '../registry/line.ts';
import { fixtureAuthor, fixtureLine, fixtureNetwork } from '../testing/fixture.ts';
import { Changes } from './changes.ts';
import type { QuorumHead } from './heads.ts';

const { networkId } = fixtureNetwork().genesis;
const author = fixtureAuthor(networkId);
const lines = ['one', 'two'].map((name) => fixtureLine(author.author, name));

/** What stands in a log that somebody else lets grow. */
class Log {
  readonly entries: Uint8Array[] = [];
  size = 0;
  readonly #wake = new Set<() => void>();
  readonly changes = new Changes(
    {
      statement: (index) => {
        const bytes = this.entries[index];
        return bytes && { bytes };
      },
    },
    {
      hasQuorum: () => this.size > 0,
      quorum: () => ({ head: { size: this.size } }) as QuorumHead,
      onChange: (wake) => {
        this.#wake.add(wake);
        return () => this.#wake.delete(wake);
      },
    },
  );

  grow(...entries: readonly Uint8Array[]): void {
    this.entries.push(...entries);
    this.size = this.entries.length;
    for (const wake of this.#wake) wake();
  }
}

const declared = (index: number): Uint8Array =>
  declareStatement(author, BigInt(index + 2), lines[index] as (typeof lines)[number]).bytes;
const texts = lines.map((line) => lineText(line));

test('the lines that the heads since then changed, each once; a registration changes none', () => {
  const log = new Log();
  log.grow(registerStatement(author, 1n, { name: 'acme', recovery: [], threshold: 0 }).bytes);
  assert.deepEqual(log.changes.since(0), { size: 1, lines: [] });
  log.grow(declared(0), declared(0));
  log.grow(declared(1));
  assert.deepEqual(log.changes.since(1), { size: 4, lines: texts });
  assert.deepEqual(log.changes.since(3), { size: 4, lines: texts.slice(1) });
  assert.equal(log.changes.since(4), undefined);
});

test('an entry that this node can not read may have changed any line, and harms no head', () => {
  const log = new Log();
  log.grow(declared(0));
  log.grow(utf8('not a statement'));
  log.grow(declared(1));
  assert.deepEqual(log.changes.since(0), { size: 3, lines: null });
  assert.deepEqual(log.changes.since(2), { size: 3, lines: texts.slice(1) });
});

test('who was away for longer than is remembered may have missed any line', () => {
  const log = new Log();
  for (let size = 1; size <= 130; size++) log.grow(declared(0));
  assert.deepEqual(log.changes.since(1), { size: 130, lines: null });
  assert.deepEqual(log.changes.since(100), { size: 130, lines: texts.slice(0, 1) });
});
