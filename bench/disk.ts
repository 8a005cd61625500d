/** Bytes that a release costs on every node's disk, its image apart. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anchorStatement, declareStatement, registerStatement } from '../src/author/statements.ts';
import { openDatabase } from '../src/database.ts';
import { openReplica } from '../src/ledger/replica.ts';
import type { Transaction } from '../src/registry/statement.ts';
import {
  fixtureAuthor,
  fixtureLine,
  fixtureNetwork,
  holdStatement,
} from '../src/testing/fixture.ts';
import { fixtureRelease } from '../src/testing/release-fixture.ts';
import type { BenchOptions, Row } from './support/row.ts';

const LINES = 20;

export async function rows({ quick }: BenchOptions): Promise<readonly Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'firmament-bench-disk-'));
  try {
    const network = fixtureNetwork({ operators: 4 });
    const { networkId, policy } = network.genesis;
    const path = join(folder, 'ledger.db');
    const database = openDatabase(path);
    const replica = openReplica(database, network.genesis);
    const order = (group: readonly Transaction[]): void => {
      const { outcomes, head } = replica.propose(
        [group],
        network.genesis.time,
        network.orderer.statement,
      );
      const [outcome] = outcomes;
      if (outcome && 'refused' in outcome) throw outcome.refused;
      if (head) replica.prune(head.height);
    };
    const size = (): number => {
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      return statSync(path).size;
    };
    const author = fixtureAuthor(networkId, { curve: 'Ed25519' });
    const recovery = author.recovery.map((key) => key.publicKey);
    order([plain(registerStatement(author, 1n, { name: 'acme', recovery, threshold: 1 }))]);
    const lines = Array.from({ length: LINES }, (_, i) => fixtureLine(author.author, `model ${i}`));
    let counter = 2n;
    for (const line of lines) order([plain(declareStatement(author, counter++, line))]);
    const before = size();
    const each = quick ? 3 : 50;
    let signed = 0;
    for (let sequence = 1n; sequence <= each; sequence++)
      for (const line of lines) {
        const release = fixtureRelease(author, line, sequence);
        const { digest: image, size: bytes, root, chunks } = release.image;
        const anchor = { release: release.digest, image, size: bytes, root, chunks, component: 0 };
        const held = { line, release: release.digest, image, until: 1 << 19 };
        const anchored = anchorStatement(author, counter++, line, anchor);
        order([release, plain(anchored)]);
        signed +=
          release.statement.bytes.length + release.attachment.length + anchored.bytes.length;
        for (const node of network.nodes.slice(0, policy.copies)) {
          const hold = holdStatement(node, networkId, counter++, held);
          signed += hold.bytes.length;
          order([plain(hold)]);
        }
      }
    const value = (size() - before) / (each * LINES);
    database.close();
    const share = Math.round(signed / (each * LINES));
    const note = `statement, manifest, anchor of one chunk and ${policy.copies} holds, each hold a block: ${share} B as signed; without the image; mean of ${each * LINES}`;
    return [{ name: 'disk a release', value: Math.round(value), unit: 'B', note }];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function plain(statement: Transaction['statement']): Transaction {
  return { statement, attachment: null };
}
