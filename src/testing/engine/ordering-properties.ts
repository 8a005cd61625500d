/** What whoever submits may rely on. */
import assert from 'node:assert/strict';
import { declareStatement, registerStatement } from '../../author/statements.ts';
import type { Placement } from '../../ledger/committed-ledger.ts';
import { MAX_ATTACHMENT, type Transaction } from '../../registry/statement.ts';
import { fixtureAuthor, fixtureLine, fixtureNetwork } from '../fixture.ts';
import { declaration, registeredAuthor, transactionOf } from '../ledger-fixture.ts';
import type { Engine, EngineNode } from './engine.ts';
import {
  agreed,
  declarations,
  enrolled,
  knownEverywhere,
  newcomer,
  refusedWith,
  until,
  type Property,
} from './property.ts';

const SUBMITTERS = 24;
const EACH = 4;

/** Where every node has these statements: the same place, with the statement's own entry there. */
async function standsEverywhere(
  engine: Engine,
  group: readonly Transaction[],
  places: readonly { readonly index: number; readonly height: number }[],
): Promise<void> {
  for (const node of engine.nodes)
    for (const [i, { statement }] of group.entries()) {
      const place = await until(
        `a statement at ${node.name}`,
        () => node.find(statement.signingDigest),
        (found) => found !== undefined,
      );
      const { index, height } = places[i] ?? {};
      assert.deepEqual(place, { index, height, known: true }, node.name);
      assert.deepEqual(await node.entry(place?.index ?? -1), statement.entry);
    }
}

async function foundNowhere(engine: Engine, transaction: Transaction): Promise<void> {
  await agreed(engine);
  for (const node of engine.nodes)
    assert.equal(await node.find(transaction.statement.signingDigest), undefined, node.name);
}

function nodeAt(engine: Engine, i: number): EngineNode {
  return engine.nodes[i % engine.nodes.length] as EngineNode;
}

export const ORDERING: readonly Property[] = [
  {
    name: 'what is submitted in turn stands in that turn, on every node at the same place',
    async run(engine) {
      const author = await enrolled(engine);
      const group = declarations(author, 12);
      const places: Placement[] = [];
      for (const [i, one] of group.entries())
        places.push(...(await nodeAt(engine, i).submit([one])));
      for (const [i, { index, height, known }] of places.entries()) {
        assert.equal(known, false);
        const before: Placement | undefined = places[i - 1];
        if (before) assert.ok(index > before.index && height >= before.height);
      }
      await standsEverywhere(engine, group, places);
    },
  },
  {
    name: 'a group stands together, in its own order, in one block',
    async run(engine) {
      const author = await enrolled(engine);
      const group = declarations(author, 16);
      const places = await nodeAt(engine, 1).submit(group);
      const [first] = places;
      assert.ok(first);
      assert.deepEqual(
        places,
        group.map((_, i) => ({ index: first.index + i, height: first.height, known: false })),
      );
      await standsEverywhere(engine, group, places);
    },
  },
  {
    name: 'many submit at once: each is told its own place, and no place is given twice',
    async run(engine) {
      const all = Array.from({ length: SUBMITTERS }, () => newcomer(engine));
      const answers = await Promise.all(
        all.map(async ({ author, group }, i) => {
          const transactions = [...group];
          const places = [...(await nodeAt(engine, i).submit(group))];
          await knownEverywhere(engine, group);
          for (const one of declarations(author, EACH)) {
            transactions.push(one);
            places.push(...(await nodeAt(engine, i + transactions.length).submit([one])));
          }
          return { transactions, places };
        }),
      );
      const indexes = answers.flatMap(({ places }) => places.map(({ index }) => index));
      assert.equal(new Set(indexes).size, SUBMITTERS * (EACH + 1));
      for (const { transactions, places } of answers)
        await standsEverywhere(engine, transactions, places);
    },
  },
  {
    name: 'T05: what is on the ledger already is answered with its first place, wherever it is submitted again',
    async run(engine) {
      const author = await enrolled(engine);
      const [one, two, three] = declarations(author, 3) as [Transaction, Transaction, Transaction];
      const [first] = await nodeAt(engine, 0).submit([one]);
      assert.ok(first);
      const again = { index: first.index, height: first.height, known: true };
      for (const node of engine.nodes) {
        await until(
          `the first at ${node.name}`,
          () => node.find(one.statement.signingDigest),
          (found) => found !== undefined,
        );
        assert.deepEqual(await node.submit([one]), [again], node.name);
      }
      const [known, fresh] = await nodeAt(engine, 1).submit([one, two]);
      assert.deepEqual(known, again);
      assert.equal(fresh?.known, false);
      const both = await Promise.all(engine.nodes.map((node) => node.submit([three])));
      assert.equal(new Set(both.map(([place]) => place?.index)).size, 1);
      assert.ok(both.filter(([place]) => place?.known === false).length <= engine.nodes.length);
      const [twice, copy] = await nodeAt(engine, 2).submit([...declarations(author, 1, 3), one]);
      assert.equal(twice?.known, false);
      assert.deepEqual(copy, again);
    },
  },
  {
    name: 'what one node acknowledged, any other builds upon at once',
    async run(engine) {
      for (let i = 0; i < 6; i++) {
        const { author, group } = registeredAuthor(engine.network, `moves on ${i}`);
        await nodeAt(engine, i).submit(group);
        await nodeAt(engine, i + 1).submit([declaration(author, 0)]);
        await nodeAt(engine, i + 3).submit([declaration(author, 1)]);
      }
    },
  },
  {
    name: 'T05: a statement signed once more says the same, and gets the place of the first',
    async run(engine) {
      const { networkId } = engine.network.genesis;
      const author = fixtureAuthor(networkId, { name: 'signs twice', curve: 'P-256' });
      const recovery = author.recovery.map((key) => key.publicKey);
      const registered = registerStatement(author, 1n, { name: 'x', recovery, threshold: 1 });
      await nodeAt(engine, 0).submit([transactionOf(registered)]);
      const line = fixtureLine(author.author);
      const once = declareStatement(author, 2n, line);
      const twice = declareStatement(author, 2n, line);
      assert.notDeepEqual(once.bytes, twice.bytes);
      const [place] = await nodeAt(engine, 1).submit([transactionOf(once)]);
      const [again] = await nodeAt(engine, 1).submit([transactionOf(twice)]);
      assert.deepEqual(again, { ...place, known: true });
    },
  },
  {
    name: 'a counter that was used is refused, and what is of another network',
    async run(engine) {
      const author = await enrolled(engine);
      await nodeAt(engine, 0).submit(declarations(author, 3));
      const line = fixtureLine(author.author, 'another');
      for (const counter of [1n, 2n, 4n]) {
        const replayed = transactionOf(declareStatement(author, counter, line));
        assert.equal(
          await refusedWith(nodeAt(engine, Number(counter)).submit([replayed])),
          'STATEMENT_COUNTER',
        );
        await foundNowhere(engine, replayed);
      }
      const stranger = registeredAuthor(fixtureNetwork({ label: 'elsewhere' }), 'stranger');
      assert.equal(
        await refusedWith(nodeAt(engine, 0).submit(stranger.group)),
        'STATEMENT_NETWORK',
      );
    },
  },
  {
    name: 'a group goes in as a whole or not at all',
    async run(engine) {
      const author = await enrolled(engine);
      const unknown = newcomer(engine).author;
      const [good, other] = declarations(author, 2) as [Transaction, Transaction];
      for (const [i, group] of [
        [good, declaration(unknown, 0)],
        [declaration(unknown, 0), good],
        [good, other, declaration(unknown, 0)],
      ].entries())
        assert.equal(await refusedWith(nodeAt(engine, i).submit(group)), 'AUTHOR_UNKNOWN');
      await foundNowhere(engine, good);
      const places = await nodeAt(engine, 0).submit([good, other]);
      await standsEverywhere(engine, [good, other], places);
    },
  },
  {
    name: 'a refusal is told to whom it belongs, and to nobody else',
    async run(engine) {
      const author = await enrolled(engine);
      const other = await enrolled(engine);
      const used = transactionOf(declareStatement(other, 1n, fixtureLine(other.author)));
      const answers = await Promise.all([
        refusedWith(nodeAt(engine, 0).submit(declarations(author, 2))),
        refusedWith(nodeAt(engine, 1).submit([declaration(newcomer(engine).author, 0)])),
        refusedWith(nodeAt(engine, 2).submit([used])),
        refusedWith(nodeAt(engine, 0).submit(newcomer(engine).group)),
      ]);
      assert.deepEqual(answers, [undefined, 'AUTHOR_UNKNOWN', 'STATEMENT_COUNTER', undefined]);
    },
  },
  {
    name: 'what fits no block is refused',
    async run(engine) {
      const author = await enrolled(engine);
      const node = nodeAt(engine, 0);
      assert.equal(await refusedWith(node.submit([])), 'LEDGER_GROUP_INVALID');
      const [one] = declarations(author, 1) as [Transaction];
      const many = Array.from({ length: engine.largestGroup + 1 }, () => one);
      assert.equal(await refusedWith(node.submit(many)), 'LEDGER_GROUP_INVALID');
      const huge = Array.from({ length: 129 }, () => ({
        ...one,
        attachment: new Uint8Array(MAX_ATTACHMENT),
      }));
      assert.equal(await refusedWith(node.submit(huge)), 'LEDGER_GROUP_INVALID');
      const largest = declarations(author, engine.largestGroup);
      const places = await node.submit(largest);
      assert.equal(places.length, engine.largestGroup);
      await standsEverywhere(engine, largest.slice(-1), places.slice(-1));
    },
  },
];
