/** A ledger that moved from a local orderer to a consortium, to make snapshots of. */
import { sha256 } from '#crypto';
import { utf8 } from '../bytes.ts';
import { releaseStatement } from '../author/statements.ts';
import type { Database } from '../database.ts';
import type { Transaction } from '../registry/statement.ts';
import { buildImageManifest, wrap } from '../suit/build.ts';
import { fixtureConsortium, fixtureLine, fixtureNetwork } from './fixture.ts';
import { changedPolicy } from './governance.ts';
import {
  decided,
  declaration,
  dumped,
  openedReplica,
  ordered,
  provenBlock,
  registeredAuthor,
  transactionOf,
  type OpenedReplica,
} from './ledger-fixture.ts';

export const MOVED_NETWORK = fixtureNetwork();
export const MOVED_CHAIN = 2;
const network = MOVED_NETWORK;
export const { author: MOVED_AUTHOR, group: MOVED_REGISTRATION } = registeredAuthor(
  network,
  'acme',
);
const author = MOVED_AUTHOR;

/** A release of the model with this number. */
export function movedRelease(model: number, sequence: bigint): Transaction {
  const line = fixtureLine(author.author, `model ${model}`);
  const manifest = wrap(
    buildImageManifest({
      vendorId: line.vendor,
      classId: line.class,
      sequence,
      componentId: [utf8('app')],
      digest: sha256(utf8(`image ${sequence}`)),
      size: 5,
      uri: 'ipfs://image',
    }),
  );
  const claims = { version: `${sequence}.0.0`, urgency: 'functional', documents: [] } as const;
  return transactionOf(releaseStatement(author, sequence, line, manifest, claims), manifest);
}

/** A network that moved to a consortium, with a few blocks on both sides; the newest has no certificate yet. */
export function movedLedger(path: string): OpenedReplica {
  const opened = openedReplica(network, path);
  const { replica } = opened;
  ordered(replica, network, MOVED_REGISTRATION);
  ordered(replica, network, [declaration(author, 0), movedRelease(0, 1n)]);
  const orderer = fixtureConsortium(network.nodes, MOVED_CHAIN);
  const change = changedPolicy(network.root, { orderer }, network.operators.slice(1));
  ordered(replica, network, [transactionOf(change.statement)]);
  provenBlock(replica, network, [[declaration(author, 1)], [movedRelease(1, 2n)]], {
    chain: MOVED_CHAIN,
  });
  provenBlock(replica, network, [[movedRelease(0, 3n)]], { chain: MOVED_CHAIN, height: 3 });
  decided(replica, [Array.from({ length: 15 }, (_, model) => declaration(author, model + 5))]);
  replica.prune(replica.head().height);
  return opened;
}

/** What is of the ledger itself: neither what maps were before nor how far an engine got. */
export function ledgerRows(database: Database): string {
  return dumped(database).replace(
    /^map_(?:page|value)_undo\n(?:\[.*\n)*|^\["(?:engine|pruned)".*\n/gm,
    '',
  );
}
