import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hex } from '../../src/bytes.ts';
import { FirmamentError } from '../../src/errors.ts';
import { CUTS, PowerGone, SimulatedDisk } from '../../src/device/simulated-disk.ts';
import { openPinnedRoot } from '../../src/device/root-record.ts';
import { createRoot, type Root } from '../../src/registry/root.ts';
import { approvers, chainOf, change } from './sample-governance.ts';
import { availableRelease, honestNode, SampleDevice, type SampleAnswers } from './sample-device.ts';
import { SampleLedger } from './sample-ledger.ts';
import { sampleOperator } from './sample-policy.ts';
import type { ProofOptions } from './sample-proof.ts';

function scene() {
  const ledger = new SampleLedger(4, { threshold: 3 });
  const author = ledger.author('author');
  const release = availableRelease(ledger, author, 1n);
  const node = (
    root: Root,
    policies?: readonly Uint8Array[],
    options: ProofOptions = {},
  ): SampleAnswers => ({
    ...honestNode(ledger, author, [release], {
      ...options,
      epoch: { policyVersion: root.policy.version, policyHash: root.hash },
    }),
    ...(policies && { policies: (from: number) => policies.slice(from - 2, from + 5) }),
  });
  return { ledger, author, release, node };
}

/** Six changes, at whose end no operator of the first policy is left. */
function allReplaced(root: Root): {
  readonly root: Root;
  readonly statements: readonly Uint8Array[];
} {
  const statements: Uint8Array[] = [];
  for (let first = 1; first <= 6; first++) {
    const numbers = [first, first + 1, first + 2, first + 3];
    const orderer = { engine: 'local', operator: `o${first}`, node: 'n' } as const;
    const stay = approvers(...numbers.slice(0, 3));
    const next = change(root, { operators: numbers.map(sampleOperator), orderer }, stay);
    statements.push(next.statement.bytes);
    ({ root } = next);
  }
  return { root, statements };
}

suite('T08: a device and the policies that it has not seen', () => {
  test('twenty versions behind, it updates in one poll, and knows them after a restart', async () => {
    const { ledger, author, release, node } = scene();
    const { root, statements } = chainOf(ledger.networkId, ledger.root.policy, 20);
    const device = await SampleDevice.boot(ledger, author);
    const result = await device.poll(node(root, statements));
    assert.equal(result.outcome, 'installed');
    assert.equal(result.freshness, 'fresh(own clock)');
    assert.equal(device.runs, hex(release.digest));
    const again = await SampleDevice.boot(ledger, author, device.disk);
    assert.deepEqual(again.root.root.hash, root.hash);
    // The policy that it was made for is over: heads of that time are of the past.
    assert.equal((await again.poll(node(ledger.root))).code, 'TRUST_POLICY_MISMATCH');
  });

  test('without the chain the proof is stale(policy): not installed without consent', async () => {
    const { ledger, author, node } = scene();
    const { root } = chainOf(ledger.networkId, ledger.root.policy, 1);
    const device = await SampleDevice.boot(ledger, author);
    const result = await device.poll(node(root));
    assert.equal(result.code, 'TRUST_STALE');
    assert.match(result.message ?? '', /stale\(policy\)/);
    assert.equal(device.root.root.policy.version, 1);
    const away: SampleAnswers = {
      ...node(root),
      policies: () => {
        throw new FirmamentError('NET_NOT_FOUND');
      },
    };
    assert.equal((await device.poll(away)).code, 'TRUST_STALE');
  });

  test('one node has the chain, another has not: asked in one round', async () => {
    const { ledger, author, node } = scene();
    const { root, statements } = chainOf(ledger.networkId, ledger.root.policy, 3);
    const device = await SampleDevice.boot(ledger, author);
    assert.equal((await device.poll(node(root), node(root, statements))).outcome, 'installed');
  });

  test('every operator was replaced, one at a time: the new ones are a quorum, the old ones are nobody', async () => {
    const { ledger, author, node } = scene();
    const { root, statements } = allReplaced(ledger.root);
    const device = await SampleDevice.boot(ledger, author);
    const by = (...signers: readonly string[]): ProofOptions => ({ signers });
    const old = await device.poll(node(root, statements, by('o0', 'o1', 'o2')));
    assert.equal(old.code, 'TRUST_QUORUM');
    assert.equal(device.root.root.policy.version, 7);
    const { outcome } = await device.poll(node(root, [], by('o7', 'o8', 'o9')));
    assert.equal(outcome, 'installed');
  });

  test('a forged chain moves nothing, whoever cosigned the proof', async () => {
    const { ledger, author, node } = scene();
    const two = approvers(0, 1);
    const { root, statement } = change(ledger.root, { maxAge: 200_000 }, two);
    const device = await SampleDevice.boot(ledger, author);
    assert.equal(
      (await device.poll(node(root, [statement.bytes]))).code,
      'TRUST_POLICY_CHAIN_INVALID',
    );
    assert.equal(device.root.root.policy.version, 1);
    // A gap: version 3, properly approved, and nothing of version 2.
    const { root: third, statements } = chainOf(ledger.networkId, ledger.root.policy, 2);
    const gap = { ...node(third), policies: () => statements.slice(1) };
    assert.equal((await device.poll(gap)).code, 'TRUST_POLICY_CHAIN_INVALID');
    assert.equal(device.root.root.policy.version, 1);
  });
});

suite('T08: the root on a device goes forward only', () => {
  const { root: first } = new SampleLedger(4, { threshold: 3 });
  const { root: second } = change(first);
  const { root: third } = change(second);
  const open = (files: SimulatedDisk, provisioned = first) =>
    openPinnedRoot({ directory: 'state', provisioned, files });

  test('not back, not sideways, not to another network', async () => {
    const disk = new SimulatedDisk();
    const pinned = await open(disk);
    await pinned.advance(third);
    const foreign = createRoot(new Uint8Array(32), { ...third.policy, version: 9 });
    for (const bad of [first, second, third, foreign])
      await assert.rejects(pinned.advance(bad), { code: 'DEVICE_STATE_ROLLBACK' });
    assert.equal((await open(disk)).root.policy.version, 3);
    // A device that was provisioned anew with a later root has that one.
    const { root: fourth } = change(third);
    assert.equal((await open(disk, fourth)).root.policy.version, 4);
    const { root: other } = change(second, { maxAge: 90_000 });
    await assert.rejects(open(disk, other), { code: 'DEVICE_STATE_CORRUPT' });
    await assert.rejects(open(disk, foreign), { code: 'DEVICE_STATE_CORRUPT' });
  });

  test('a power cut at any moment leaves the old root or the new one', async () => {
    for (const cut of CUTS)
      for (const when of ['before', 'after'] as const)
        for (let at = 0; ; at++) {
          const disk = new SimulatedDisk();
          await (await open(disk)).advance(second);
          const pinned = await open(disk);
          disk.failAt(at, when);
          const done = await pinned.advance(third).then(
            () => true,
            (error: unknown) => !(error instanceof PowerGone) && assert.fail(),
          );
          disk.cut(cut);
          const { version } = (await open(disk)).root.policy;
          assert.ok(done ? version === 3 : version === 2 || version === 3);
          if (done) break;
        }
  });

  test('bytes that are not those written are never taken for a root', async () => {
    const disk = new SimulatedDisk();
    await (await open(disk)).advance(second);
    const size = (await disk.size('state/root')) ?? 0;
    for (const at of [0, 40, size - 1]) {
      const [byte = 0] = await disk.read('state/root', at, 1);
      await disk.write('state/root', at, Uint8Array.of(byte ^ 1));
      await assert.rejects(open(disk), { code: 'DEVICE_STATE_CORRUPT' });
      await disk.write('state/root', at, Uint8Array.of(byte));
    }
    assert.equal((await open(disk)).root.policy.version, 2);
  });
});
