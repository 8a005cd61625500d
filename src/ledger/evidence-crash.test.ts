// The evidence of a lie is one more durable write: lost before it is there, and then found again; kept after it.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDatabase } from '../database.ts';
import { fixtureNetwork } from '../testing/fixture.ts';
import { openedReplica, ordered, registeredAuthor, resigned } from '../testing/ledger-fixture.ts';
import { openReplica } from './replica.ts';

const network = fixtureNetwork({ operators: 2 });
const { group } = registeredAuthor(network, 'acme');
const { replica: orderer } = openedReplica(network);
ordered(orderer, network, group);
const lie = resigned(network, orderer.block(1), (block) => ({ size: block.size + 1 }));

for (const when of ['before', 'after'] as const)
  test(`a follower dies ${when} it has the evidence of a lie`, (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'firmament-evidence-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'ledger.db');
    let commits = 0;
    const database = openDatabase(file, {
      onCommit: (moment) => {
        // Tables, genesis, and then the evidence: the block itself never comes to its commit.
        if (moment === 'before') commits += 1;
        if (moment === when && commits === 3) throw new Error('the power goes');
      },
    });
    const follower = openReplica(database, network.genesis);
    assert.throws(() => follower.append(lie), /the power goes/);
    database.close();

    const again = openDatabase(file);
    t.after(() => again.close());
    const replica = openReplica(again, network.genesis);
    assert.equal(replica.head().height, 0, 'nothing of the block was kept');
    if (when === 'before') {
      assert.equal(replica.halted(), undefined);
      assert.throws(() => replica.append(lie), { code: 'LEDGER_ORDERER_LIES' });
    }
    assert.equal(replica.halted()?.code, 'BLOCK_MALFORMED');
    assert.equal(replica.evidence().length, 1);
    assert.throws(() => replica.append(orderer.block(1)), { code: 'LEDGER_HALTED' });
  });

test('a disk that lost rows is the own fault, and no lie of the orderer', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'firmament-evidence-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const database = openDatabase(join(folder, 'ledger.db'));
  t.after(() => database.close());
  openReplica(database, network.genesis);
  database.exec('DELETE FROM log_node');
  const replica = openReplica(database, network.genesis);
  assert.throws(() => replica.append(orderer.block(1)), { code: 'LEDGER_HEIGHT_UNKNOWN' });
  assert.equal(replica.halted(), undefined);
  assert.equal(replica.evidence().length, 0);
});
