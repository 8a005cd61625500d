import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { operatorProof, withdrawStatement } from '../author/statements.ts';
import {
  fixtureAuthor,
  fixtureLine,
  fixtureNetwork,
  holdStatement,
  type FixtureNetwork,
  type FixtureNode,
} from '../testing/fixture.ts';
import {
  enroll,
  fixtureAnchor,
  fixtureLedger,
  fixtureRelease,
  type FixtureLedger,
  type FixtureRelease,
} from '../testing/release-fixture.ts';
import type { LineValue } from './map-value.ts';

/** One author with one line on a network of four operators, R = 3 of which N = 2 not the author's. */
class Scene {
  readonly network: FixtureNetwork;
  readonly ledger: FixtureLedger;
  readonly author: ReturnType<typeof fixtureAuthor>;
  readonly line: ReturnType<typeof fixtureLine>;
  #counter = 10n;

  constructor(options: Parameters<typeof fixtureNetwork>[0] = {}, operator?: string) {
    this.network = fixtureNetwork(options);
    const { networkId } = this.network.genesis;
    this.ledger = fixtureLedger(this.network.genesis);
    this.author = fixtureAuthor(networkId);
    this.line = fixtureLine(this.author.author);
    const own = this.network.operators.find(({ name }) => name === operator);
    const proof = own && operatorProof(own.name, own.governance, networkId, this.author.author);
    enroll(this.ledger, this.author, this.line, proof);
  }

  publish(sequence: bigint, claims: Parameters<typeof fixtureRelease>[3] = {}): FixtureRelease {
    const release = fixtureRelease(this.author, this.line, sequence, claims);
    this.ledger.apply(release.statement, release.attachment);
    this.ledger.apply(fixtureAnchor(this.author, ++this.#counter, release));
    return release;
  }

  hold(release: FixtureRelease, names: readonly string[], until: number | null = 1000): void {
    for (const name of names) {
      const node = this.network.nodes.find((each) => each.name === name) as FixtureNode;
      const image = release.image.digest;
      const hold = { line: this.line, release: release.digest, image, ...(until && { until }) };
      const { networkId } = this.network.genesis;
      this.ledger.apply(holdStatement(node, networkId, ++this.#counter, hold));
    }
  }

  withdraw(release: FixtureRelease, lowest: bigint): void {
    const withdrawal = { release: release.digest, lowest, reason: 'a hole' };
    this.ledger.apply(withdrawStatement(this.author, ++this.#counter, this.line, withdrawal));
  }

  /** Sequences of newest and pending, and lowest. */
  seen(): readonly (bigint | null)[] {
    const { newest, pending, lowest } = this.ledger.line(this.line) as LineValue;
    return [newest?.sequence ?? null, pending?.sequence ?? null, lowest];
  }
}

const WIDE = ['a/n1', 'b/n1', 'c/n1'];

test('pending becomes newest once it is held widely enough', () => {
  const scene = new Scene();
  const one = scene.publish(1n);
  assert.deepEqual(scene.seen(), [null, 1n, 0n]);
  scene.hold(one, ['a/n1', 'b/n1']);
  assert.deepEqual(scene.seen(), [null, 1n, 0n]);
  scene.hold(one, ['c/n1']);
  assert.deepEqual(scene.seen(), [1n, null, 0n]);
  const two = scene.publish(2n);
  assert.deepEqual(scene.seen(), [1n, 2n, 0n]);
  scene.hold(two, WIDE);
  assert.deepEqual(scene.seen(), [2n, null, 0n]);
});

test('R counts operators, not nodes (T23)', () => {
  const scene = new Scene({ nodesEach: 3 });
  const one = scene.publish(1n);
  scene.hold(one, ['a/n1', 'a/n2', 'a/n3', 'b/n1', 'b/n2']);
  assert.deepEqual(scene.seen(), [null, 1n, 0n]);
  scene.hold(one, ['c/n3']);
  assert.deepEqual(scene.seen(), [1n, null, 0n]);
});

test("the author's own operator does not count for N", () => {
  const policy = { copies: 2, copiesElsewhere: 2 };
  const own = new Scene({ policy }, 'a');
  const one = own.publish(1n);
  own.hold(one, ['a/n1', 'b/n1']);
  assert.deepEqual(own.seen(), [null, 1n, 0n]);
  own.hold(one, ['c/n1']);
  assert.deepEqual(own.seen(), [1n, null, 0n]);

  const stranger = new Scene({ policy });
  const two = stranger.publish(1n);
  stranger.hold(two, ['a/n1', 'b/n1']);
  assert.deepEqual(stranger.seen(), [1n, null, 0n]);
});

test('in private mode N counts non-author operators', () => {
  const scene = new Scene({ policy: { mode: 'private', copies: 2, copiesElsewhere: 2 } });
  const one = scene.publish(1n);
  scene.hold(one, ['a/n1', 'b/n1', 'c/n1']);
  assert.deepEqual(scene.seen(), [null, 1n, 0n]);
  scene.hold(one, ['d/n1']);
  assert.deepEqual(scene.seen(), [1n, null, 0n]);
});

test('a lease that has ended does not count', () => {
  const scene = new Scene();
  const one = scene.publish(1n);
  const soon = scene.ledger.height + 2;
  scene.hold(one, ['a/n1'], soon);
  scene.hold(one, ['b/n1', 'c/n1']);
  assert.deepEqual(scene.seen(), [null, 1n, 0n]);
  scene.hold(one, ['a/n1']);
  assert.deepEqual(scene.seen(), [1n, null, 0n]);
});

test('availability latches: a drop takes nothing back (T16)', () => {
  const scene = new Scene();
  const one = scene.publish(1n);
  scene.hold(one, WIDE);
  scene.hold(one, WIDE, null);
  assert.deepEqual(scene.seen(), [1n, null, 0n]);
  scene.publish(2n);
  assert.deepEqual(scene.seen(), [1n, 2n, 0n]);
});

test('withdrawing the newest makes the next allowed one newest again', () => {
  const scene = new Scene();
  const [one, two, three] = [1n, 2n, 3n].map((sequence) => {
    const release = scene.publish(sequence);
    scene.hold(release, WIDE);
    return release;
  }) as [FixtureRelease, FixtureRelease, FixtureRelease];
  scene.withdraw(two, 0n);
  assert.deepEqual(scene.seen(), [3n, null, 0n]);
  scene.withdraw(three, 0n);
  assert.deepEqual(scene.seen(), [1n, null, 0n]);
  scene.withdraw(one, 0n);
  assert.deepEqual(scene.seen(), [null, null, 0n]);
});

test('nothing below lowest is newest or pending', () => {
  const scene = new Scene();
  scene.hold(scene.publish(1n), WIDE);
  scene.publish(2n);
  const three = scene.publish(3n);
  scene.hold(three, WIDE);
  scene.withdraw(three, 3n);
  assert.deepEqual(scene.seen(), [null, null, 3n]);
  scene.publish(4n);
  assert.deepEqual(scene.seen(), [null, 4n, 3n]);
});

test('an old release that becomes available late changes nothing above it', () => {
  const scene = new Scene();
  const one = scene.publish(1n);
  scene.hold(scene.publish(2n), WIDE);
  scene.hold(one, WIDE);
  assert.deepEqual(scene.seen(), [2n, null, 0n]);
});

test('a withdrawn release does not come back by being held', () => {
  const scene = new Scene();
  const one = scene.publish(1n);
  scene.hold(one, ['a/n1', 'b/n1']);
  scene.withdraw(one, 0n);
  scene.hold(one, ['c/n1']);
  assert.deepEqual(scene.seen(), [null, null, 0n]);
});

test('the map says what a release applies to and which way leads to it', () => {
  const scene = new Scene();
  const one = scene.publish(1n);
  scene.hold(one, WIDE);
  const two = scene.publish(9n, { applies: [5n, 8n], via: one.digest });
  scene.hold(two, WIDE);
  const newest = scene.ledger.line(scene.line)?.newest;
  assert.deepEqual([newest?.applies, newest?.via], [[5n, 8n], one.digest]);
});

test('a waypoint that nobody can have, or that was withdrawn, is no way', () => {
  const scene = new Scene();
  const via = (): Uint8Array | null | undefined => scene.ledger.line(scene.line)?.newest?.via;
  const one = scene.publish(1n);
  const two = scene.publish(2n, { applies: [1n, 1n], via: one.digest });
  scene.hold(two, WIDE);
  assert.equal(via(), null);
  scene.hold(one, WIDE);
  assert.deepEqual(via(), one.digest);
  scene.withdraw(one, 0n);
  assert.equal(via(), null);
});

test('a waypoint below lowest is no way', () => {
  const scene = new Scene();
  const one = scene.publish(1n);
  scene.hold(one, WIDE);
  scene.hold(scene.publish(2n, { applies: [1n, 1n], via: one.digest }), WIDE);
  scene.withdraw(scene.publish(3n), 2n);
  assert.equal(scene.ledger.line(scene.line)?.newest?.via, null);
});

// What refreshLine keeps up step by step, found the slow way: every release from the top down.
function walked(releases: readonly Followed[], lowest: bigint): readonly (bigint | null)[] {
  const live = releases
    .toReversed()
    .filter(({ status, sequence }) => status !== 'withdrawn' && sequence >= lowest);
  const newest = live.find(({ status }) => status === 'available');
  const pending = live.find(
    ({ status, sequence }) => status === 'registered' && sequence > (newest?.sequence ?? 0n),
  );
  return [newest?.sequence ?? null, pending?.sequence ?? null, lowest];
}

interface Followed {
  readonly sequence: bigint;
  readonly release: FixtureRelease;
  status: 'registered' | 'available' | 'withdrawn';
}

test('newest and pending are what a walk over the whole line finds, whatever happens to it', () => {
  const step = fc.record({
    act: fc.constantFrom('publish', 'publish', 'hold', 'withdraw'),
    which: fc.nat(20),
    raise: fc.integer({ min: 0, max: 2 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 24 }), (steps) => {
      const scene = new Scene();
      const releases: Followed[] = [];
      let lowest = 0n;
      for (const { act, which, raise } of steps) {
        const chosen = releases[which % Math.max(1, releases.length)];
        if (act === 'publish') {
          const sequence = BigInt(releases.length + 2);
          releases.push({ sequence, release: scene.publish(sequence), status: 'registered' });
        } else if (act === 'hold' && chosen?.status === 'registered') {
          scene.hold(chosen.release, WIDE);
          chosen.status = 'available';
        } else if (act === 'withdraw' && chosen && chosen.status !== 'withdrawn') {
          const most = BigInt(releases.length + 2);
          lowest = lowest + BigInt(raise) < most ? lowest + BigInt(raise) : most;
          scene.withdraw(chosen.release, lowest);
          chosen.status = 'withdrawn';
        } else continue;
        assert.deepEqual(scene.seen(), walked(releases, lowest));
      }
    }),
    { numRuns: 60 },
  );
});
