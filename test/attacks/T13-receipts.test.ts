import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatCheckpoint } from '../../src/log/checkpoint.ts';
import { signCosignature } from '../../src/log/cosignature.ts';
import { leafHash } from '../../src/log/merkle.ts';
import { createReceipt, verifyReceipt } from '../../src/log/receipt.ts';
import { Heads } from '../../src/node/heads.ts';
import { lookUp, receiptFor } from '../../src/node/submission.ts';
import type { Replica } from '../../src/ledger/replica.ts';
import { envelopeFrom } from '../../src/suit/transparent.ts';
import { fixtureNetwork, type FixtureNode } from '../../src/testing/fixture.ts';
import { openedReplica, ordered, registeredAuthor } from '../../src/testing/ledger-fixture.ts';
import { importsOf, scan } from '../source-scan.ts';
import { SampleLedger } from './sample-ledger.ts';
import { availableRelease, honestNode, SampleDevice } from './sample-device.ts';
import { sampleKey } from './sample-policy.ts';

function cosignatureOf({ name, cosigner }: FixtureNode, replica: Replica) {
  const { size, root } = replica.head();
  const checkpoint = formatCheckpoint({ origin: replica.origin, size, root });
  const time = replica.head().time;
  const { signature } = signCosignature(cosigner, name, checkpoint, time);
  return { size, root, name, time, signature };
}

test('T13: a node gives receipts only of heads that it cosigned itself, whatever the others signed', () => {
  const network = fixtureNetwork();
  const [self, ...others] = network.nodes as readonly [FixtureNode, ...FixtureNode[]];
  const { replica } = openedReplica(network);
  const { group } = registeredAuthor(network, 'acme');
  ordered(replica, network, group);
  const [{ statement }] = group as [(typeof group)[number]];
  const heads = new Heads(replica, () => network.root, self.name);
  const parts = { replica, heads, receiptKey: self.receipt };
  for (const node of others) heads.add(cosignatureOf(node, replica));
  assert.equal(heads.hasQuorum(), true);
  assert.equal(lookUp(parts, statement.signingDigest)?.complete, false);
  assert.throws(() => receiptFor(parts, statement, 1), { code: 'NODE_NO_QUORUM' });
  heads.add(cosignatureOf(self, replica));
  const found = lookUp(parts, statement.signingDigest);
  assert.equal(found?.complete, true);
  const receipt = found.registered.entries[0]?.receipt as Uint8Array;
  const { publicKey: key } = self.receipt;
  const said = verifyReceipt(receipt, { key, leafHash: leafHash(statement.entry) });
  assert.equal(said.size, replica.head().size);
  assert.deepEqual(said.root, replica.head().root);
});

test('T13: a device takes no receipt, however true, for the signatures of a quorum', async () => {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const release = availableRelease(ledger, author, 1n);
  // A log of this one entry, under a root that the node signs with its own receipt key.
  const { statement, attachment } = release;
  const receipt = createReceipt({
    key: sampleKey('o1 receipt'),
    origin: 'firmament/sample',
    subject: statement.subject,
    size: 1,
    index: 0,
    path: [],
    root: leafHash(statement.entry),
  });
  const envelope = envelopeFrom({ statement: statement.sign1, attachment, receipts: [receipt] });
  const alone = honestNode(ledger, author, [release], { signers: ['o1'] });
  const device = await SampleDevice.boot(ledger, author);
  const { code } = await device.poll({ ...alone, release: () => envelope });
  assert.equal(code, 'TRUST_QUORUM');
  assert.equal(device.runs, undefined);
});

test('T13: nothing that decides for a device reads receipts', () => {
  for (const folder of ['trust', 'device']) {
    const directory = join(import.meta.dirname, '../../src', folder);
    for (const name of readdirSync(directory)) {
      if (!name.endsWith('.ts')) continue;
      const imports = importsOf(scan(readFileSync(join(directory, name), 'utf8')));
      const found = imports.find(({ specifier }) => specifier?.endsWith('/receipt.ts') === true);
      assert.equal(found, undefined, `${folder}/${name}`);
    }
  }
});
