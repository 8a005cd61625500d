/** An author with recovery keys on a sample ledger, devices that follow its line, and a quorum that lies. */
import { sha256 } from '#crypto';
import { hex } from '../../src/bytes.ts';
import type { KeyChange } from '../../src/author/key-changes.ts';
import { declareStatement, registerStatement } from '../../src/author/statements.ts';
import type { PrivateKey } from '../../src/crypto/key.ts';
import { authorKey, lineKey, lineOf, type Line } from '../../src/registry/line.ts';
import {
  decodeAuthorValue,
  decodeLineValue,
  encodeAuthorValue,
  encodeLineValue,
  type AuthorValue,
} from '../../src/registry/map-value.ts';
import type { Statement } from '../../src/registry/statement.ts';
import type { FixtureAuthor } from '../../src/testing/fixture.ts';
import { authorWithRecovery, recoveryStatement } from '../../src/testing/key-fixture.ts';
import {
  fixtureAnchor,
  fixtureRelease,
  type FixtureRelease,
} from '../../src/testing/release-fixture.ts';
import { acceptProof, acceptRelease, type JudgedLine } from '../../src/trust/accept.ts';
import type { Provision, TrustState } from '../../src/trust/state.ts';
import { CLASS, SampleLedger, VENDOR } from './sample-ledger.ts';
import { NEW_READER, NOW, proveLine } from './sample-proof.ts';

/** What a reader learned from one proof. */
export interface Read {
  readonly judged: JudgedLine;
  readonly state: TrustState;
}

export class KeyScene {
  readonly ledger: SampleLedger = new SampleLedger();
  readonly author: FixtureAuthor;
  readonly line: Line;
  /** Statements of the recovery keys and registrations, in their order: the links of the line. */
  readonly links: Uint8Array[] = [];
  #counter = 100n;
  #size = 9;

  /** An author with two of three recovery keys, and its line. */
  constructor(name = 'maker') {
    this.author = this.registered(name);
    this.line = lineOf({
      author: this.author.author,
      vendor: VENDOR,
      class: CLASS,
      track: 'stable',
    });
    this.ledger.apply(declareStatement(this.author, 2n, this.line));
    this.links.push(this.registration(this.author).bytes);
  }

  registered(name: string): FixtureAuthor {
    const author = authorWithRecovery(this.ledger.networkId, name);
    this.ledger.apply(this.registration(author));
    return author;
  }

  registration(
    author: FixtureAuthor,
    recovery: readonly PrivateKey[] = author.recovery,
  ): Statement {
    const keys = recovery.map((key) => key.publicKey);
    return registerStatement(author, 1n, { name: author.name, recovery: keys, threshold: 2 });
  }

  /** A statement by two recovery keys of the author's. */
  signed(
    change: KeyChange,
    author = this.author,
    signers = author.recovery.slice(0, 2),
  ): Statement {
    return recoveryStatement(author, ++this.#counter, change, signers);
  }

  /** Puts the change on the ledger, and among the links. */
  change(
    change: KeyChange,
    author = this.author,
    signers = author.recovery.slice(0, 2),
  ): Statement {
    const statement = this.signed(change, author, signers);
    this.ledger.apply(statement);
    this.links.push(statement.bytes);
    this.#size += 1;
    return statement;
  }

  /** A release that two operators hold. */
  publish(author: FixtureAuthor, sequence: bigint): FixtureRelease {
    const release = fixtureRelease(author, this.line, sequence);
    this.ledger.apply(release.statement, release.attachment);
    this.ledger.apply(fixtureAnchor(author, sequence + 1_000n, release));
    const held = { ...release, image: release.image.digest };
    const of = { key: author.key as PrivateKey, id: author.author, line: this.line };
    for (const operator of ['o1', 'o2']) this.ledger.apply(this.ledger.hold(operator, of, held));
    this.#size += 1;
    return release;
  }

  provision(): Provision {
    const lines = [{ line: this.line, anchor: this.author.key.publicKey as never }];
    return { root: this.ledger.root, lines, staleInstall: 'never' };
  }

  /** What a device makes of a proof with these links, which begin where its chain ends. */
  read(
    links: readonly Uint8Array[],
    options: { readonly state?: TrustState; readonly owner?: FixtureAuthor } = {},
  ): Read {
    const { state = NEW_READER, owner = this.author } = options;
    const entry = this.ledger.map.get(hex(authorKey(owner.author)));
    const proof = proveLine(this.ledger, this.line, {
      size: this.#size,
      tamper: (honest) => ({ ...honest, links, authorValue: entry?.value ?? null }),
    });
    return acceptProof(this.provision(), state, 0, proof, NOW);
  }

  /** What a quorum of liars puts into the author entry, and signs. */
  lie(change: (value: AuthorValue) => Partial<AuthorValue>, owner = this.author): void {
    const key = authorKey(owner.author);
    const { map } = this.ledger;
    const honest = decodeAuthorValue(map.get(hex(key))?.value ?? new Uint8Array());
    const value = encodeAuthorValue({ ...honest, ...change(honest) });
    map.set(hex(key), { key, value });
    const line = lineKey(this.line);
    const entry = decodeLineValue(map.get(hex(line))?.value ?? new Uint8Array());
    map.set(hex(line), {
      key: line,
      value: encodeLineValue({ ...entry, authorHash: sha256(value) }),
    });
  }

  /** A quorum of liars offers this release as the newest. */
  offer(release: FixtureRelease, sequence: bigint): void {
    const { map } = this.ledger;
    const key = lineKey(this.line);
    const entry = decodeLineValue(map.get(hex(key))?.value ?? new Uint8Array());
    const newest = {
      sequence,
      digest: release.digest,
      entry: release.statement.entry,
      applies: null,
      via: null,
    };
    map.set(hex(key), { key, value: encodeLineValue({ ...entry, newest }) });
  }
}

export function install({ judged }: Read, { envelope }: FixtureRelease): bigint {
  return acceptRelease(judged, envelope, null).sequence;
}
