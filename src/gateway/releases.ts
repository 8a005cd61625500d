/** What the gateway has verified: per network its memory, per line the last proof, per release its envelope. */
import { hex } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes } from '../cbor/read.ts';
import { encodeLatest } from '../api/retrieval.ts';
import { transaction, type Database } from '../database.ts';
import { check } from '../errors.ts';
import { lineText, type Line } from '../registry/line.ts';
import { parseRoot, type Root } from '../registry/root.ts';
import { decodeTrustState, encodeTrustState } from '../trust/memory.ts';
import { decodeProof, encodeProof } from '../trust/proof.ts';
import type { TrustState } from '../trust/state.ts';

export interface StoredLine {
  readonly proof: Uint8Array;
  /** POSIX seconds. */
  readonly checked: number;
  readonly freshness: string;
  /** Author id in hex of who owns the line now, and of whom the owner of the gateway agreed to. */
  readonly owner: string;
  readonly agreedOwner: string;
}

export interface NetworkMemory {
  /** In force. */
  readonly root: Root;
  readonly state: TrustState;
  /** The lines that the state's lists are about, in order. */
  readonly lines: readonly string[];
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

// 512 links (docs/spec/registry.md) of at most 8 KiB.
const MAX_LINKS = 5 << 20;
const LINKS_AT_ONCE = 12_288;

export class Releases {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The memory of a network; undefined before the first proof. */
  network(id: Uint8Array): NetworkMemory | undefined {
    const row = this.#database.prepare('SELECT * FROM network WHERE id = ?').get(hex(id));
    return (
      row && {
        root: parseRoot(row['root'] as Uint8Array),
        state: decodeTrustState(row['state'] as Uint8Array),
        lines: JSON.parse(row['lines'] as string) as readonly string[],
      }
    );
  }

  /**
   * An accepted proof and what was learned from it, in one transaction. `linksKnown`: how many of the line's links were
   * checked before those of this proof.
   */
  saveProof(
    memory: NetworkMemory,
    line: Line,
    proof: Uint8Array,
    facts: {
      readonly owner: string;
      readonly freshness: string;
      readonly now: number;
      readonly linksKnown: number;
    },
  ): void {
    const text = lineText(line);
    const links = [...this.links(text).slice(0, facts.linksKnown), ...decodeProof(proof).links];
    transaction(this.#database, () => {
      this.saveNetwork(memory);
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

  saveNetwork({ root, state, lines }: NetworkMemory): void {
    this.#database
      .prepare(
        `INSERT INTO network (id, root, state, lines) VALUES (?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET root = excluded.root, state = excluded.state, lines = excluded.lines`,
      )
      .run(hex(root.networkId), root.bytes, encodeTrustState(state), JSON.stringify(lines));
  }

  line(text: string): StoredLine | undefined {
    const row = this.#database
      .prepare('SELECT proof, checked, freshness, owner, agreed_owner FROM line WHERE line = ?')
      .get(text);
    if (!row) return undefined;
    return {
      proof: row['proof'] as Uint8Array,
      checked: Number(row['checked']),
      freshness: row['freshness'] as string,
      owner: row['owner'] as string,
      agreedOwner: row['agreed_owner'] as string,
    };
  }

  /** Every link of a line from the anchor on, in order: devices may be anywhere behind. */
  links(text: string): readonly Uint8Array[] {
    const row = this.#database.prepare('SELECT links FROM line WHERE line = ?').get(text);
    if (!row) return [];
    const links = decode(row['links'] as Uint8Array, { maxBytes: MAX_LINKS });
    return asArray(links, 'links').map((link) => asBytes(link, 'link', { max: 8192 }));
  }

  /** The owner of the gateway agrees to the line's present owner. Errors: LINE_UNKNOWN. */
  agreeToOwner(text: string): void {
    const { changes } = this.#database
      .prepare('UPDATE line SET agreed_owner = owner WHERE line = ?')
      .run(text);
    check(Number(changes) === 1, 'LINE_UNKNOWN');
  }

  /** The answer of transaction 5, with the links that a device lacks; undefined for a line not followed or not proven. */
  latest(line: Line, linksKnown: number | undefined): Uint8Array | undefined {
    const stored = this.line(lineText(line));
    if (!stored) return undefined;
    const links: Uint8Array[] = [];
    let room = LINKS_AT_ONCE;
    for (const link of linksKnown === undefined
      ? []
      : this.links(lineText(line)).slice(linksKnown)) {
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

  /** One of the releases that have this image; one of a followed line is as good as another. */
  withImage(sha256: string): StoredRelease | undefined {
    const row = this.#database
      .prepare('SELECT * FROM release WHERE sha256 = ? ORDER BY seen DESC, digest LIMIT 1')
      .get(sha256);
    return row && releaseOf(row);
  }

  list(): readonly StoredRelease[] {
    return this.#database
      .prepare('SELECT * FROM release ORDER BY seen DESC LIMIT 1000')
      .all()
      .map(releaseOf);
  }

  /** Every image that a release names. */
  images(): readonly { readonly sha256: string; readonly stored: boolean }[] {
    return this.#database
      .prepare('SELECT sha256, MAX(stored) AS stored FROM release GROUP BY sha256')
      .all()
      .map((row) => ({ sha256: row['sha256'] as string, stored: row['stored'] === 1 }));
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
