/** The registry over a view in memory, with authors, lines, releases and holds to attack. */
import { sha256, sign } from '#crypto';
import { concat, hex, utf8 } from '../../src/bytes.ts';
import { encode, encodeBytesHeader } from '../../src/cbor/encode.ts';
import type { Cbor } from '../../src/cbor/value.ts';
import { encodeKey, thumbprint } from '../../src/cose/key.ts';
import type { PrivateKey } from '../../src/crypto/key.ts';
import { apply } from '../../src/registry/apply.ts';
import type { Claims } from '../../src/registry/claims.ts';
import { createGenesis, initialize } from '../../src/registry/genesis.ts';
import { lineKey, lineText, releaseText, type Line } from '../../src/registry/line.ts';
import { decodeLineValue, type LineValue } from '../../src/registry/map-value.ts';
import type { Policy } from '../../src/registry/policy.ts';
import { createRoot, type Root } from '../../src/registry/root.ts';
import { operatorClaim } from '../../src/registry/rules/author-register.ts';
import { createStatement, type Statement } from '../../src/registry/statement.ts';
import { memoryView, overlay } from '../../src/registry/view.ts';
import { buildImageManifest } from '../../src/suit/build.ts';
import { sampleKey, samplePolicy } from './sample-policy.ts';

export const VENDOR = sha256(utf8('vendor')).subarray(0, 16);
export const CLASS = sha256(utf8('class')).subarray(0, 16);

export interface SampleAuthor {
  readonly key: PrivateKey;
  readonly id: Uint8Array;
  readonly line: Line;
}

/** A release ready to be sent: its statement and its manifest. */
export interface SampleRelease {
  readonly statement: Statement;
  readonly attachment: Uint8Array;
  readonly digest: Uint8Array;
  readonly image: Uint8Array;
}

export interface ReleaseChanges {
  readonly claims?: Partial<Claims>;
  readonly vendor?: Uint8Array;
  readonly manifestSequence?: bigint;
}

export class SampleLedger {
  readonly networkId: Uint8Array;
  readonly root: Root;
  /** Every entry of the map that devices read, by the hex of its key. */
  readonly map: Map<string, { readonly key: Uint8Array; readonly value: Uint8Array }> = new Map();
  readonly #view = memoryView();
  #height = 0;
  #counter = 0n;

  constructor(operators = 4, changes: Partial<Policy> = {}) {
    const genesis = createGenesis(1, samplePolicy(operators, changes));
    this.networkId = genesis.networkId;
    this.root = createRoot(genesis.networkId, genesis.policy);
    initialize(this.#view, genesis);
  }

  /** One block with one statement; a refusal leaves the state as it was. */
  apply(statement: Statement, attachment: Uint8Array | null = null): void {
    const state = overlay(this.#view);
    const height = this.#height + 1;
    apply(state, { statement, attachment }, { height, time: height, index: height * 2 });
    for (const [name, entry] of state.changes().map) this.map.set(name, entry);
    state.commit();
    this.#height = height;
  }

  /** A statement of an author's or a node's with everything right, and then the changes. */
  statement(
    key: PrivateKey,
    changes: Partial<Claims> & Pick<Claims, 'kind' | 'issuer' | 'subject'>,
    payload: Cbor,
  ): Statement {
    const claims = { network: hex(this.networkId), counter: ++this.#counter, ...changes };
    return createStatement(key, claims, payload);
  }

  /** Registers an author, with the key id of its PSK if it has one, and declares its line for VENDOR, CLASS and `stable`. */
  author(name: string, operator?: string, psk?: Uint8Array): SampleAuthor {
    const key = sampleKey(`author ${name}`);
    const id = thumbprint(key.publicKey);
    const line = { author: id, vendor: VENDOR, class: CLASS, track: 'stable' };
    const payload = new Map<Cbor, Cbor>([
      [1, encodeKey(key.publicKey)],
      [2, [encodeKey(sampleKey(`author ${name} recovery`).publicKey)]],
      [3, 1],
      [4, name],
    ]);
    if (operator !== undefined) {
      const claim = operatorClaim(this.networkId, id);
      payload.set(5, [operator, sign(sampleKey(`${operator} governance`), claim)]);
    }
    if (psk) payload.set(6, psk);
    const issuer = hex(id);
    this.apply(this.statement(key, { kind: 'author.register', issuer, subject: issuer }, payload));
    this.apply(this.declare(key, line, { issuer }));
    return { key, id, line };
  }

  declare(key: PrivateKey, line: Line, changes: Partial<Claims> & { issuer: string }): Statement {
    const payload = new Map<Cbor, Cbor>([
      [1, line.vendor],
      [2, line.class],
      [3, line.track],
    ]);
    const subject = lineText(line);
    return this.statement(key, { kind: 'line.declare', subject, ...changes }, payload);
  }

  release(author: SampleAuthor, sequence: bigint, changes: ReleaseChanges = {}): SampleRelease {
    const image = utf8(`image ${sequence}`);
    const manifest = buildImageManifest({
      vendorId: changes.vendor ?? VENDOR,
      classId: CLASS,
      sequence: changes.manifestSequence ?? sequence,
      componentId: [Uint8Array.of(0)],
      digest: sha256(image),
      size: image.length,
      uri: 'ipfs://image',
    });
    const attachment = concat(encodeBytesHeader(manifest.length), manifest);
    const digest = sha256(attachment);
    const statement = this.statement(
      author.key,
      {
        kind: 'release',
        issuer: hex(author.id),
        subject: lineText(author.line),
        counter: sequence,
        release: { version: `${sequence}.0.0`, urgency: 'functional', documents: [] },
        ...changes.claims,
      },
      encode([-16, digest]),
    );
    return { statement, attachment, digest, image: sha256(image) };
  }

  /** Registers a release and anchors its image; nobody holds it yet. */
  publish(author: SampleAuthor, sequence: bigint, changes: ReleaseChanges = {}): SampleRelease {
    const release = this.release(author, sequence, changes);
    this.apply(release.statement, release.attachment);
    this.apply(this.anchor(author, release, sequence));
    return release;
  }

  anchor(author: SampleAuthor, { digest, image }: SampleRelease, sequence: bigint): Statement {
    const cid = concat(Uint8Array.of(0x01, 0x55, 0x12, 0x20), image);
    return this.statement(
      author.key,
      { kind: 'image.anchor', issuer: hex(author.id), subject: lineText(author.line) },
      new Map<Cbor, Cbor>([
        [1, digest],
        [2, image],
        [3, utf8(`image ${sequence}`).length],
        [4, cid],
        [5, image],
        [6, 0],
      ]),
    );
  }

  hold(
    operator: string,
    { line }: SampleAuthor,
    { digest, image }: SampleRelease,
    key = sampleKey(`${operator} statement`),
  ): Statement {
    const payload = new Map<Cbor, Cbor>([
      [1, lineKey(line)],
      [2, digest],
      [3, image],
      [4, this.#height + 100],
    ]);
    const issuer = `operator/${operator}/node/n`;
    const subject = releaseText(line, digest);
    return this.statement(key, { kind: 'image.hold', issuer, subject }, payload);
  }

  withdraw(
    { key, id, line }: SampleAuthor,
    { digest }: SampleRelease,
    lowest: bigint,
    changes: Partial<Claims> = {},
  ): Statement {
    const payload = new Map<Cbor, Cbor>([
      [1, digest],
      [2, lowest],
      [3, 'a hole'],
    ]);
    const claims = { issuer: hex(id), subject: lineText(line), ...changes };
    return this.statement(key, { kind: 'release.withdraw', ...claims }, payload);
  }

  /** What the map tells devices of a line. */
  line(line: Line): LineValue | undefined {
    const value = this.#view.getMap(lineKey(line));
    return value && decodeLineValue(value);
  }
}
