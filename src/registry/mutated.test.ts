// Statements with anything anywhere in them, signed by those who may sign: a rule that failed other than with a code
// would stop every node that has to run it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delegation, revocation, rotation, transfer } from '../author/key-changes.ts';
import { declareStatement, registerStatement, withdrawStatement } from '../author/statements.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { Tagged, type Cbor } from '../cbor/value.ts';
import { thumbprint } from '../cose/key.ts';
import { encodeSign1, sigStructure } from '../cose/sign1.ts';
import { signWith } from '../cose/signing-key.ts';
import type { SigningKey } from '../crypto/key.ts';
import { codeOf, FirmamentError } from '../errors.ts';
import {
  fixtureAuthor,
  fixtureKey,
  fixtureLine,
  fixtureNetwork,
  holdStatement,
} from '../testing/fixture.ts';
import { changedPolicy } from '../testing/governance.ts';
import { acceptance, recoveryStatement } from '../testing/key-fixture.ts';
import {
  enroll,
  fixtureAnchor,
  fixtureLedger,
  fixtureRelease,
} from '../testing/release-fixture.ts';
import { seeded, seedOf } from '../testing/seeded.ts';
import { suitDigest } from '../suit/digest.ts';
import { apply } from './apply.ts';
import { reportBatchStatement } from './rules/report-batch.ts';
import { parseStatement, type Statement } from './statement.ts';
import { overlay } from './view.ts';

const OF_EACH = 400;

const network = fixtureNetwork();
const { networkId } = network.genesis;
const [node] = network.nodes;
const author = fixtureAuthor(networkId, { curve: 'Ed25519' });
const heir = fixtureAuthor(networkId, { name: 'heir', curve: 'Ed25519' });
const line = fixtureLine(author.author);

interface Sample {
  readonly statement: Statement;
  readonly key: SigningKey;
  readonly attachment?: Uint8Array;
}

/** A ledger with something of everything, and one good statement of each kind upon it. */
function samples() {
  assert.ok(node);
  const ledger = fixtureLedger(network.genesis);
  enroll(ledger, author, line);
  enroll(ledger, heir, fixtureLine(heir.author));
  const [first, second, third] = [1n, 2n, 3n].map((each) => fixtureRelease(author, line, each));
  assert.ok(first && second && third);
  ledger.apply(first.statement, first.attachment);
  ledger.apply(fixtureAnchor(author, 9n, first));
  ledger.apply(second.statement, second.attachment);
  const hold = { line, release: first.digest, image: first.image.digest };
  ledger.apply(holdStatement(node, networkId, 1n, { ...hold, until: 90 }));
  const stranger = fixtureAuthor(networkId, { name: 'stranger', curve: 'Ed25519' });
  const register = registerStatement(stranger, 1n, {
    name: 'stranger',
    recovery: stranger.recovery.map((key) => key.publicKey),
    threshold: 1,
  });
  const next = fixtureKey('next').publicKey;
  const old = author.key.publicKey;
  ledger.apply(recoveryStatement(author, 2n, rotation(author.author, [old, next])));
  const [recovery] = author.recovery;
  const [operator] = network.operators;
  assert.ok(recovery && operator);
  const changes = [
    rotation(author.author, [next]),
    revocation(author.author, thumbprint(old), 2),
    delegation(line, fixtureKey('delegate').publicKey, true),
    transfer(line, heir.author, acceptance(heir, line, author)),
  ];
  const withdrawal = { release: first.digest, lowest: 2n, reason: 'burns' };
  const { statement: policy } = changedPolicy(network.root, { maxHold: 7 }, network.operators);
  const kinds: readonly Sample[] = [
    { statement: register, key: stranger.key },
    { statement: declareStatement(author, 20n, fixtureLine(author.author, 'b')), key: author.key },
    { statement: third.statement, key: author.key, attachment: third.attachment },
    { statement: fixtureAnchor(author, 20n, second), key: author.key },
    { statement: withdrawStatement(author, 20n, line, withdrawal), key: author.key },
    { statement: holdStatement(node, networkId, 9n, { ...hold, until: 99 }), key: node.statement },
    { statement: holdStatement(node, networkId, 9n, hold), key: node.statement },
    {
      statement: reportBatchStatement(node.statement, node.name, networkId, 9n, new Uint8Array(32)),
      key: node.statement,
    },
    { statement: policy, key: operator.governance },
    ...changes.map((change) => ({
      statement: recoveryStatement(author, 9n, change),
      key: recovery,
    })),
  ];
  return { view: ledger.view, kinds };
}

const BOUNDS = { maxBytes: 1 << 20, tags: [1, 18, 96, 107], sorted: false } as const;

/** An item with something else in one place of it, also inside of byte strings that are CBOR themselves. */
class Mutator {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  mutated(value: Cbor): Cbor {
    if (this.below(6) === 0) return this.#anything();
    if (value instanceof Tagged) return new Tagged(value.tag, this.mutated(value.value));
    if (value instanceof Uint8Array) return this.#bytes(value);
    if (value instanceof Map) return this.#map(value);
    if (Array.isArray(value)) return this.#array(value as readonly Cbor[]);
    if (typeof value === 'string') return this.#text(value);
    if (typeof value === 'number') return [value + 1, value - 1, -value - 1][this.below(3)] ?? 0;
    return this.#anything();
  }

  /** What these bytes are as CBOR, mutated. Errors: CBOR_*, also when two keys came to be equal. */
  cbor(bytes: Uint8Array): Uint8Array {
    return encode(this.mutated(decode(bytes, BOUNDS)), { order: 'kept' });
  }

  #bytes(value: Uint8Array): Cbor {
    try {
      return this.cbor(value);
    } catch (error) {
      if (!codeOf(error)) throw error;
    }
    const at = this.below(value.length);
    if (value.length === 0 || this.below(3) === 0) return new Uint8Array(this.below(70));
    return this.below(2) === 0 ? value.subarray(0, at) : value.with(at, this.below(256));
  }

  #map(value: ReadonlyMap<Cbor, Cbor>): Cbor {
    const entries = [...value];
    const at = this.below(entries.length + 1);
    const entry = entries[at];
    if (!entry) return new Map([...entries, [this.below(20), this.#anything()]]);
    if (this.below(6) === 0) return new Map(entries.toSpliced(at, 1));
    const [key, held] = entry;
    return new Map(
      entries.with(at, this.below(8) === 0 ? [this.mutated(key), held] : [key, this.mutated(held)]),
    );
  }

  #array(value: readonly Cbor[]): Cbor {
    const at = this.below(value.length + 1);
    const item = value[at];
    if (item === undefined) return [...value, this.#anything()];
    const how = this.below(6);
    if (how === 0) return value.toSpliced(at, 1);
    if (how === 1) return [...value, item];
    return value.with(at, this.mutated(item));
  }

  #text(value: string): Cbor {
    const at = this.below(value.length + 1);
    const put = ['', '/', '#', '0', '\u0000', '\u{1f4a3}', '..', 'a'.repeat(300)][this.below(8)];
    return value.slice(0, at) + (put ?? '') + value.slice(at + this.below(3));
  }

  #anything(): Cbor {
    const all: readonly (() => Cbor)[] = [
      () => null,
      () => this.below(2) === 0,
      () => this.below(100),
      () => -1 - this.below(100),
      () => 2n ** 64n - 1n,
      () => -(2n ** 63n),
      () => '',
      () => 'x',
      () => new Uint8Array(),
      () => new Uint8Array([0, 1, 16, 31, 32, 33, 64][this.below(7)] ?? 0),
      () => [],
      () => new Map<Cbor, Cbor>(),
      () => [[[[]]]],
      () => new Map<Cbor, Cbor>([[1, new Map<Cbor, Cbor>([[1, 1]])]]),
    ];
    return (all[this.below(all.length)] as () => Cbor)();
  }
}

test('whatever a statement says, the rules take it or refuse it with a code', (context) => {
  const mutator = new Mutator(seeded(seedOf((line) => context.diagnostic(line))));
  const { view, kinds } = samples();
  const block = { height: 50, time: network.genesis.time + 1000, index: 200 };
  const codes = new Map<string, number>();
  for (const { statement, attachment = null } of kinds) {
    apply(overlay(view), { statement, attachment }, block);
    codes.set(`${statement.kind} taken`, 0);
  }
  for (const { statement, key, attachment = null } of kinds)
    for (let i = 0; i < OF_EACH; i++) {
      const where = mutator.below(attachment ? 3 : 2);
      const part = (at: number, bytes: Uint8Array): Uint8Array =>
        where === at ? mutator.cbor(bytes) : bytes;
      let code = 'taken';
      try {
        const protectedBytes = part(0, statement.sign1.protectedBytes);
        const changed = attachment && part(2, attachment);
        const payload =
          changed === attachment ? part(1, statement.payload) : suitDigest(changed as Uint8Array);
        const signature = signWith(key, sigStructure(protectedBytes, payload));
        const bytes = encodeSign1({ protectedBytes, payload, signature });
        const transaction = { statement: parseStatement(bytes), attachment: changed };
        apply(overlay(view), transaction, block);
      } catch (error) {
        if (!(error instanceof FirmamentError)) throw error;
        code = error.code;
      }
      codes.set(`${statement.kind} ${code}`, (codes.get(`${statement.kind} ${code}`) ?? 0) + 1);
    }
  context.diagnostic(JSON.stringify(Object.fromEntries(codes)));
});
