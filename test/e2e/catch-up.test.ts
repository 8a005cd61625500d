/** A follower that was away for a thousand blocks. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { declareStatement, registerStatement } from '../../src/author/statements.ts';
import { openDatabase } from '../../src/database.ts';
import { openReplica } from '../../src/ledger/replica.ts';
import { fixtureAuthor, fixtureLine } from '../../src/testing/fixture.ts';
import { startTestNetwork } from '../../src/testing/network.ts';

const BLOCKS = 1000;

test(
  `a follower ${BLOCKS} blocks behind catches up and cosigns`,
  { timeout: 120_000 },
  async (t) => {
    await using network = await startTestNetwork({ operators: 2, start: [] });
    const { statement } = network.keys(network.orderer);
    const author = fixtureAuthor(network.root.networkId, { name: 'acme', curve: 'Ed25519' });
    const recovery = author.recovery.map((key) => key.publicKey);
    {
      // The orderer's own blocks, made while the follower was away.
      const { data } = network.config(network.orderer);
      mkdirSync(data, { recursive: true });
      const database = openDatabase(join(data, 'ledger.db'));
      const replica = openReplica(database, network.genesis);
      const group = [registerStatement(author, 1n, { name: 'acme', recovery, threshold: 1 })];
      for (let model = 1; model < BLOCKS; model++)
        group.push(
          declareStatement(author, BigInt(model + 1), fixtureLine(author.author, `${model}`)),
        );
      for (const one of group)
        replica.propose([[{ statement: one, attachment: null }]], network.clock(), statement);
      assert.equal(replica.head().height, BLOCKS);
      database.close();
    }
    const began = performance.now();
    await Promise.all(network.names.map((name) => network.start(name)));
    const follower = network.node('a/n1');
    while (follower.health().height < BLOCKS) await sleep(20);
    t.diagnostic(`caught up in ${Math.round(performance.now() - began)} ms`);
    const size = network.node(network.orderer).health().size;
    while ((follower.health().quorum?.size ?? 0) < size) await sleep(20);
    assert.equal(follower.health().size, size);
    assert.deepEqual(follower.health().quorum?.operators, ['a', 'b']);
  },
);
