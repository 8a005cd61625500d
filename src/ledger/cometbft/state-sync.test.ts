// A member that joins late begins with a snapshot of the others, through their read-only RPC.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hex } from '../../bytes.ts';
import { cometNetwork, requireComet, until, type CometNode } from '../../testing/cometbft.ts';
import { declaration, registeredAuthor } from '../../testing/ledger-fixture.ts';
import { lightSource, stateSyncFrom } from '../../testing/light-source.ts';

// More than the engine gives headers of at once: those before the snapshot are asked for in vain.
const BLOCKS = 24;

test('a fifth member begins with a snapshot, and has what the others have', async (t) => {
  const binary = await requireComet(t);
  if (binary === undefined) return;
  await using comet = await cometNetwork({
    binary,
    validators: 4,
    others: 1,
    ledger: { snapshotEvery: 4 },
  });
  await comet.start();
  const nodes = comet.nodes as [CometNode, CometNode, CometNode, CometNode, CometNode];
  const [first, second] = nodes;
  const fifth = nodes[4];
  const { author, group } = registeredAuthor(comet.network, 'acme');
  await first.ledger.submit(group);
  for (let i = 0; i < BLOCKS; i++) await first.ledger.submit([declaration(author, i)]);
  const written = (node: CometNode): boolean =>
    readdirSync(join(node.home, 'snapshots')).some((name) => name.endsWith('.json'));
  await until(() => nodes.slice(0, 4).every(written), 'snapshots');
  await first.ledger.submit([declaration(author, BLOCKS)]);

  await using one = await lightSource(first.ledger);
  await using other = await lightSource(second.ledger);
  await fifth.start({ stateSync: await stateSyncFrom(first.ledger, [one, other]) });
  const { height } = first.replica.head();
  await until(() => fifth.replica.head().height >= height, 'the fifth member', 30_000);
  assert.equal(hex(fifth.replica.headAt(height).root), hex(first.replica.headAt(height).root));
  await until(() => fifth.replica.certified().height >= height, 'its certificates');
  // Not from the first block: its engine has only those after the snapshot.
  const { sync_info: sync } = (await fifth.ledger.rpc('status')) as {
    sync_info: { earliest_block_height: string };
  };
  assert.ok(Number(sync.earliest_block_height) > 1);
  // It takes part like any other, and what it has is ordered once.
  const known = await fifth.ledger.submit(group);
  assert.equal(known[0]?.known, true);
  await fifth.ledger.submit([declaration(author, BLOCKS + 1)]);
  await fifth.stop();
  await fifth.start();
  await fifth.ledger.submit([declaration(author, BLOCKS + 2)]);
});
