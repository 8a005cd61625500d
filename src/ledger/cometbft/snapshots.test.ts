// The four calls about snapshots, from one replica to another, without an engine between them.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sha256 } from '#crypto';
import { hex } from '../../bytes.ts';
import {
  ResponseApplySnapshotChunk_Result as ApplyResult,
  ResponseOfferSnapshot_Result as OfferResult,
  type Snapshot,
} from '../../proto/tendermint/abci/types_pb.js';
import { certificateFor } from '../../testing/certificates.ts';
import { fixtureNetwork } from '../../testing/fixture.ts';
import {
  declaration,
  openedReplica,
  registeredAuthor,
  SILENT,
} from '../../testing/ledger-fixture.ts';
import { appHashOfHead } from '../proven-ledger.ts';
import { SnapshotFolder } from './snapshot-folder.ts';
import { Snapshots } from './snapshots.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'snapshots-'));
after(() => rmSync(FOLDER, { recursive: true }));
const network = fixtureNetwork({ engine: 'cometbft' });
const { author, group } = registeredAuthor(network, 'acme');

type Offered = Pick<Snapshot, 'height' | 'format' | 'chunks' | 'hash' | 'metadata'>;

function node(name: string) {
  const { replica } = openedReplica(network, join(FOLDER, `${name}.db`));
  const options = { replica, chain: 1, logger: SILENT };
  const given = { ...options, path: join(FOLDER, name), every: 2 };
  const folder = new SnapshotFolder(given);
  const restored = join(FOLDER, `${name}-restored.db`);
  const snapshots = new Snapshots({ ...options, genesis: network.genesis, folder, restored });
  let height = 0;
  const block = (groups: Parameters<typeof replica.decide>[0]): void => {
    const { head } = replica.decide(groups, network.genesis.time + height);
    replica.commitDecided({ chain: 1, height: ++height });
    if (!head) return;
    replica.certify(head.height, certificateFor(network, head, { height: height + 1 }));
    folder.committed(head.height);
  };
  const offer = (snapshot: Offered, certified: Uint8Array): OfferResult => {
    const answer = snapshots.answer({
      case: 'offerSnapshot',
      value: {
        $typeName: 'tendermint.abci.RequestOfferSnapshot',
        snapshot: { $typeName: 'tendermint.abci.Snapshot', ...snapshot },
        appHash: Uint8Array.from(certified),
      },
    });
    assert.ok(answer.case === 'offerSnapshot');
    return answer.value.result as OfferResult;
  };
  const apply = (index: number, chunk: Uint8Array<ArrayBuffer>) => {
    const answer = snapshots.answer({
      case: 'applySnapshotChunk',
      value: {
        $typeName: 'tendermint.abci.RequestApplySnapshotChunk',
        index,
        chunk,
        sender: 'peer',
      },
    });
    assert.ok(answer.case === 'applySnapshotChunk');
    return answer.value;
  };
  const listed = (): readonly Offered[] => {
    const answer = snapshots.answer({
      case: 'listSnapshots',
      value: { $typeName: 'tendermint.abci.RequestListSnapshots' },
    });
    assert.ok(answer.case === 'listSnapshots');
    return answer.value.snapshots as readonly Offered[];
  };
  const chunk = (height: bigint, index: number): Uint8Array<ArrayBuffer> => {
    const answer = snapshots.answer({
      case: 'loadSnapshotChunk',
      value: {
        $typeName: 'tendermint.abci.RequestLoadSnapshotChunk',
        height,
        format: 1,
        chunk: index,
      },
    });
    assert.ok(answer.case === 'loadSnapshotChunk');
    return Uint8Array.from(answer.value.chunk as Uint8Array);
  };
  return { replica, folder, given, block, offer, apply, listed, chunk, restored };
}

const giver = node('giver');
giver.block([group]);
for (let i = 0; i < 9; i++) {
  giver.block([[declaration(author, i)]]);
  await giver.folder.settled();
}
const [newest] = giver.listed() as readonly [Offered];
const appHash = appHashOfHead(giver.replica.headAt(Number(newest.height)));

test('the newest two are given, also after a restart, and older ones are gone', () => {
  assert.deepEqual(
    giver.listed().map(({ height }) => height),
    [10n, 8n],
  );
  assert.equal(readdirSync(join(FOLDER, 'giver')).length, 4);
  const again = new SnapshotFolder(giver.given);
  assert.deepEqual(
    again.all().map(({ height }) => height),
    [10, 8],
  );
  assert.equal(hex(sha256(giver.chunk(10n, 0))), hex(newest.metadata.subarray(0, 32)));
  assert.equal(giver.chunk(10n, 1).length + giver.chunk(9n, 0).length, 0);
});

test('a node without blocks begins with one', () => {
  const { offer, apply, replica, restored } = node('taker');
  assert.equal(offer(newest, appHash), OfferResult.ACCEPT);
  assert.equal(apply(0, giver.chunk(newest.height, 0)).result, ApplyResult.ACCEPT);
  assert.equal(hex(replica.head().root), hex(giver.replica.headAt(10).root));
  assert.equal(replica.enginePosition(1)?.height, 10);
  assert.ok(!existsSync(restored));
  // With a place on the chain it begins with none.
  assert.equal(offer(newest, appHash), OfferResult.REJECT);
});

test('an offer that is not well formed is refused', () => {
  const { offer } = node('offered');
  const metadata = newest.metadata;
  for (const changes of [
    { chunks: 2 },
    { chunks: 0, metadata: new Uint8Array(0), hash: sha256(new Uint8Array(0)) },
    { hash: new Uint8Array(32) },
    { metadata: metadata.slice(1), hash: sha256(metadata.slice(1)) },
    {
      chunks: 65_537,
      metadata: new Uint8Array(65_537 * 32),
      hash: sha256(new Uint8Array(65_537 * 32)),
    },
  ])
    assert.equal(offer({ ...newest, ...changes }, appHash), OfferResult.REJECT);
  assert.equal(offer({ ...newest, format: 2 }, appHash), OfferResult.REJECT_FORMAT);
});

test('a chunk that is not the named one is asked for again, elsewhere', () => {
  const { offer, apply, replica } = node('mistaken');
  const chunk = giver.chunk(newest.height, 0);
  assert.equal(apply(0, chunk).result, ApplyResult.ABORT);
  offer(newest, appHash);
  const bad = chunk.with(chunk.length - 1, (chunk.at(-1) as number) ^ 1);
  const { result, refetchChunks, rejectSenders } = apply(0, bad);
  assert.deepEqual([result, refetchChunks, rejectSenders], [ApplyResult.RETRY, [0], ['peer']]);
  assert.equal(apply(1, chunk).result, ApplyResult.ABORT);
  assert.equal(apply(0, chunk).result, ApplyResult.ACCEPT);
  assert.equal(replica.head().height, 10);
});

test('a snapshot of another head than the certified one is refused whole (T15)', () => {
  const { offer, apply, replica, restored } = node('lied to');
  offer(newest, appHashOfHead(giver.replica.headAt(8)));
  const { result, rejectSenders } = apply(0, giver.chunk(newest.height, 0));
  assert.deepEqual([result, rejectSenders], [ApplyResult.REJECT_SNAPSHOT, ['peer']]);
  assert.equal(replica.head().height, 0);
  assert.ok(!existsSync(restored));
});
