/** What the gateway has verified: per network its memory, per line the last proof, per release its envelope. */
import { hex } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes } from '../cbor/read.ts';
import { encodeLatest } from '../api/retrieval.ts';
import { transaction, type Database } from '../database.ts';
import { lineText, type Line } from '../registry/line.ts';
import { parseRoot, type Root } from '../registry/root.ts';
import { decodeTrustState, encodeTrustState } from '../trust/memory.ts';
import { decodeProof, encodeProof } from '../trust/proof.ts';
import type { TrustState } from '../trust/state.ts';

export interface StoredLine {
  readonly proof: Uint8Array;
  /** Every link from the anchor on, in order: devices may be anywhere behind. */
  readonly links: readonly Uint8Array[];
  /** POSIX seconds. */
  readonly checked: number;
  readonly freshness: string;
  /** Author id in hex of who owns the line now, and of whom the owner of the gateway agreed to. */
  readonly owner: string;
  readonly agreedOwner: string;
}

export interface StoredRelease {
  readonly digest: string;
  readonly line: string;
  readonly sequence: bigint;
  readonly version: string;
  readonly urgency: 'security' | 'functional';
  readonly envelope: Uint8Array;
  /** Of its image. */
  readonly sha256: string;
  readonly size: number;
  /** The image is in the repository. */
  readonly stored: boolean;
}

const MAX_LINKS = 1 << 20;
const LINKS_AT_ONCE = 12_288;

export class Releases {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The root in force and the memory of a network; undefined before the first proof. */
  network(id: Uint8Array): { readonly root: Root; readonly state: TrustState } | undefined {
    const row = this.#database.prepare('SELECT root, state FROM network WHERE id = ?').get(hex(id));
    return (
      row && {
        root: parseRoot(row['root'] as Uint8Array),
        state: decodeTrustState(row['state'] as Uint8Array),
      }
    );
  }

  /** An accepted proof and what was learned from it, in one transaction. */
  saveProof(
    root: Root,
    state: TrustState,
    line: Line,
    proof: Uint8Array,
    facts: { readonly owner: string; readonly freshness: string; readonly now: number },
  ): void {
    const text = lineText(line);
    const before = this.line(text);
    const links = [...(before?.links ?? []), ...decodeProof(proof).links];
    transaction(this.#database, () => {
      this.saveNetwork(root, state);
      this.#database
        .prepare(
          `INSERT INTO line (line, proof, links, checked, freshness, owner, agreed_owner) VALUES (?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (line) DO UPDATE SET proof = excluded.proof, links = excluded.links, checked = excluded.checked,
             freshness = excluded.freshness, owner = excluded.owner`,
        )
        // Whoever owns the line when it is followed first is whom the owner chose.
        .run(text, proof, encode(links), facts.now, facts.freshness, facts.owner, facts.owner);
    });
  }

  saveNetwork(root: Root, state: TrustState): void {
    this.#database
      .prepare(
        `INSERT INTO network (id, root, state) VALUES (?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET root = excluded.root, state = excluded.state`,
      )
      .run(hex(root.networkId), root.bytes, encodeTrustState(state));
  }

  line(text: string): StoredLine | undefined {
    const row = this.#database.prepare('SELECT * FROM line WHERE line = ?').get(text);
    if (!row) return undefined;
    const links = asArray(decode(row['links'] as Uint8Array, { maxBytes: MAX_LINKS }), 'links');
    return {
      proof: row['proof'] as Uint8Array,
      links: links.map((link) => asBytes(link, 'link', { max: 8192 })),
      checked: Number(row['checked']),
      freshness: row['freshness'] as string,
      owner: row['owner'] as string,
      agreedOwner: row['agreed_owner'] as string,
    };
  }

  /** The owner of the gateway agrees to the line's present owner. */
  agreeToOwner(text: string): void {
    this.#database.prepare('UPDATE line SET agreed_owner = owner WHERE line = ?').run(text);
  }

  /** The answer of transaction 5, with the links that a device lacks; undefined for a line not followed or not proven. */
  latest(line: Line, linksKnown: number | undefined): Uint8Array | undefined {
    const stored = this.line(lineText(line));
    if (!stored) return undefined;
    const links: Uint8Array[] = [];
    let room = LINKS_AT_ONCE;
    for (const link of linksKnown === undefined ? [] : stored.links.slice(linksKnown)) {
      room -= link.length;
      if (room < 0) break;
      links.push(link);
    }
    const proof = encodeProof({ ...decodeProof(stored.proof), links });
    return encodeLatest({ line, version: '', proof });
  }

  saveRelease(release: Omit<StoredRelease, 'stored'>, now: number): void {
    const { digest, line, sequence, version, urgency, envelope, sha256, size } = release;
    this.#database
      .prepare(
        `INSERT OR IGNORE INTO release (digest, line, sequence, version, urgency, envelope, sha256, size, seen)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(digest, line, String(sequence), version, urgency, envelope, sha256, size, now);
  }

  release(digest: string): StoredRelease | undefined {
    const row = this.#database.prepare('SELECT * FROM release WHERE digest = ?').get(digest);
    return row && releaseOf(row);
  }

  list(): readonly StoredRelease[] {
    return this.#database
      .prepare('SELECT * FROM release ORDER BY seen DESC LIMIT 1000')
      .all()
      .map(releaseOf);
  }

  markStored(sha256: string, stored: boolean): void {
    this.#database
      .prepare('UPDATE release SET stored = ? WHERE sha256 = ?')
      .run(stored ? 1 : 0, sha256);
  }
}

function releaseOf(row: Readonly<Record<string, unknown>>): StoredRelease {
  return {
    digest: row['digest'] as string,
    line: row['line'] as string,
    sequence: BigInt(row['sequence'] as string),
    version: row['version'] as string,
    urgency: row['urgency'] === 'security' ? 'security' : 'functional',
    envelope: row['envelope'] as Uint8Array,
    sha256: row['sha256'] as string,
    size: Number(row['size']),
    stored: row['stored'] === 1,
  };
}
