import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { formatCheckpoint } from '../../src/log/checkpoint.ts';
import { verifyCosignature } from '../../src/log/cosignature.ts';
import { fixtureKey, fixtureNetwork } from '../../src/testing/fixture.ts';
import {
  declaration,
  openedReplica,
  ordered,
  registeredAuthor,
  resigned,
} from '../../src/testing/ledger-fixture.ts';
import { openCosignerRecord, type CosignerRecord } from '../../src/ledger/cosigner-record.ts';
import type { SignedHead, StartupAnswer } from '../../src/ledger/cosigner-startup.ts';
import type { Replica } from '../../src/ledger/replica.ts';

const folder = mkdtempSync(join(tmpdir(), 'firmament-cosigner-'));
after(() => rmSync(folder, { recursive: true }));

const network = fixtureNetwork({ operators: 4 });
const { author, group: registration } = registeredAuthor(network, 'acme');
const me = network.nodes[0];
assert.ok(me);
const { cosigner: key, name } = me;
const TIME = network.genesis.time + 100;

let files = 0;
function opened(replica: Replica, file = join(folder, `record-${files++}`)) {
  return { file, record: openCosignerRecord({ file, key, name, replica }) };
}

function twoBlocks(): Replica {
  const { replica } = openedReplica(network);
  ordered(replica, network, registration);
  ordered(replica, network, [declaration(author, 0)]);
  return replica;
}

const NONE: readonly StartupAnswer[] = ['b', 'c'].map((operator) => ({ operator, newest: null }));

function allowed(record: CosignerRecord): CosignerRecord {
  assert.deepEqual(record.askLeave({ operators: 4, self: 'a', answers: NONE, override: false }), {
    allowed: true,
  });
  return record;
}

function leave(
  record: CosignerRecord,
  answers: readonly StartupAnswer[],
  override = false,
): string {
  const answer = record.askLeave({ operators: 4, self: 'a', answers, override });
  return answer.allowed ? 'allowed' : answer.code;
}

test('T10: a cosignature verifies, and its record is on disk before it is given out', () => {
  const replica = twoBlocks();
  const { record, file } = opened(replica);
  const head = replica.headAt(1);
  const cosignature = allowed(record).sign(head, TIME);
  const checkpoint = formatCheckpoint({ origin: replica.origin, size: head.size, root: head.root });
  verifyCosignature(key.publicKey, name, checkpoint, cosignature);
  assert.equal(cosignature.time, TIME);
  assert.deepEqual(opened(replica, file).record.last(), {
    size: head.size,
    root: head.root,
    time: TIME,
  });
});

test('T10: no signature leaves when the record can not be written', () => {
  const replica = twoBlocks();
  const { record } = opened(replica, join(folder, 'no such folder', 'record'));
  assert.throws(() => allowed(record).sign(replica.head(), TIME), { code: 'COSIGNER_RECORD_IO' });
  assert.equal(record.last().size, 0);
});

test('T10: never smaller, also after a restart', () => {
  const replica = twoBlocks();
  const { record, file } = opened(replica);
  allowed(record).sign(replica.headAt(2), TIME);
  assert.throws(() => record.sign(replica.headAt(1), TIME), { code: 'COSIGNER_ROLLBACK' });
  record.sign(replica.headAt(2), TIME + 1);
  const again = allowed(opened(replica, file).record);
  assert.throws(() => again.sign(replica.headAt(1), TIME), { code: 'COSIGNER_ROLLBACK' });
});

test('T10: same size means same root, also when the replica was made anew', () => {
  const replica = twoBlocks();
  const { record, file } = opened(replica);
  allowed(record).sign(replica.headAt(2), TIME);
  const { replica: other } = openedReplica(network);
  ordered(other, network, registration, TIME);
  ordered(other, network, [declaration(author, 0)], TIME);
  assert.equal(other.head().size, replica.head().size);
  const again = allowed(opened(other, file).record);
  assert.throws(() => again.sign(other.head(), TIME), { code: 'COSIGNER_CONFLICT' });
});

test('T10: only heads at an epoch’s end that this replica derived', () => {
  const replica = twoBlocks();
  const record = allowed(opened(replica).record);
  const { size, root } = replica.head();
  assert.throws(() => record.sign({ size, root: root.map((byte) => byte ^ 1) }, TIME), {
    code: 'COSIGNER_HEAD_UNKNOWN',
  });
  assert.throws(() => record.sign({ size: size - 1, root }, TIME), {
    code: 'COSIGNER_HEAD_UNKNOWN',
  });
  assert.throws(() => record.sign({ size: size + 1, root }, TIME), {
    code: 'COSIGNER_HEAD_UNKNOWN',
  });
});

test('T10: a halted replica’s cosigner signs nothing more', () => {
  const replica = twoBlocks();
  const { replica: follower } = openedReplica(network);
  follower.append(replica.block(1));
  const record = allowed(opened(follower).record);
  record.sign(follower.head(), TIME);
  const lie = resigned(network, replica.block(2), ({ size }) => ({ size: size + 1 }));
  assert.throws(() => follower.append(lie), { code: 'LEDGER_ORDERER_LIES' });
  assert.throws(() => record.sign(follower.head(), TIME + 1), { code: 'LEDGER_HALTED' });
});

test('T10: after a start nothing is signed before n - f operators have answered', () => {
  const replica = twoBlocks();
  const { record } = opened(replica);
  assert.throws(() => record.sign(replica.head(), TIME), { code: 'COSIGNER_UNCONFIRMED' });
  assert.equal(leave(record, []), 'COSIGNER_UNCONFIRMED');
  // One operator, however many of its nodes, and the own one: two of the three needed.
  const twice = [0, 1].map(() => ({ operator: 'b', newest: null }));
  assert.equal(leave(record, [...twice, { operator: 'a', newest: null }]), 'COSIGNER_UNCONFIRMED');
  assert.throws(() => record.sign(replica.head(), TIME), { code: 'COSIGNER_UNCONFIRMED' });
  assert.equal(leave(record, NONE), 'allowed');
  record.sign(replica.head(), TIME);
});

test('T10: a person may vouch for the record, but not against a newer signature', () => {
  const replica = twoBlocks();
  assert.equal(leave(opened(replica).record, [], true), 'allowed');
  const newest = { ...replica.head(), ...signature(replica, 2) };
  assert.equal(leave(opened(replica).record, [{ operator: 'b', newest }], true), 'COSIGNER_BEHIND');
});

function signature(replica: Replica, height: number): SignedHead {
  const head = replica.headAt(height);
  const { time, signature: bytes } = allowed(opened(replica).record).sign(head, TIME);
  return { size: head.size, root: head.root, time, signature: bytes };
}

test('T10: a record that is behind what others hold signs nothing', () => {
  const replica = twoBlocks();
  const { record, file } = opened(replica);
  allowed(record).sign(replica.headAt(1), TIME);
  const backup = readFileSync(file);
  record.sign(replica.headAt(2), TIME);
  writeFileSync(file, backup);
  const restored = opened(replica, file).record;
  const answers = [...NONE, { operator: 'd', newest: signature(replica, 2) }];
  assert.equal(leave(restored, answers), 'COSIGNER_BEHIND');
  assert.throws(() => restored.sign(replica.headAt(2), TIME), { code: 'COSIGNER_UNCONFIRMED' });
  // What is as old as the record, or older, is what it should be.
  const older = [1, 1].map((height, i) => ({
    operator: 'bc'[i] ?? '',
    newest: signature(replica, height),
  }));
  assert.equal(leave(opened(replica, file).record, older), 'allowed');
});

test('T10: a signature of the same size over another root is a conflict', () => {
  const replica = twoBlocks();
  const { replica: other } = openedReplica(network);
  ordered(other, network, registration, TIME);
  const { record } = opened(replica);
  allowed(record).sign(replica.headAt(1), TIME);
  assert.equal(
    leave(record, [{ operator: 'b', newest: signature(other, 1) }]),
    'COSIGNER_CONFLICT',
  );
});

test('T10: an answer under a signature that is not this key’s does not count', () => {
  const replica = twoBlocks();
  const forged = { ...signature(replica, 2), size: 1000 };
  const answers = [
    forged,
    { ...forged, signature: new Uint8Array(5) },
    { ...forged, root: new Uint8Array(5) },
  ];
  const said = answers.map((newest, i) => ({ operator: 'bcd'[i] ?? '', newest }));
  assert.equal(leave(opened(replica).record, said), 'COSIGNER_UNCONFIRMED');
});

test('T10: a record that can not be read, or is another’s, is never reset', () => {
  const replica = twoBlocks();
  const { record, file } = opened(replica);
  allowed(record).sign(replica.head(), TIME);
  assert.deepEqual(
    readdirSync(folder).filter((entry) => entry.endsWith('.new')),
    [],
  );
  const other = { file, key: fixtureKey('another'), name, replica };
  assert.throws(() => openCosignerRecord(other), { code: 'COSIGNER_RECORD_FOREIGN' });
  const bytes = readFileSync(file);
  for (const broken of [bytes.subarray(0, -1), new Uint8Array(), Buffer.from('{}')]) {
    writeFileSync(file, broken);
    assert.throws(() => opened(replica, file), { code: 'COSIGNER_RECORD_CORRUPT' });
  }
});
