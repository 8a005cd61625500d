/**
 * The images that the ledger anchors, as this node sees them: an index of its own beside the replica, caught up
 * from it block by block, so that it can be thrown away and made again.
 */
import { transaction, type Database } from '../database.ts';
import type { Replica } from '../ledger/replica.ts';
import { lineKey, parseLineText } from '../registry/line.ts';
import { parseAnchor, type Anchor } from '../registry/rules/image-anchor.ts';
import { getAnchor, type ImageKey } from '../registry/state.ts';
import { parseStatement } from '../registry/statement.ts';
import { fail } from '../errors.ts';

/** One image of one release. */
export interface AnchoredImage extends ImageKey {
  /** AUTHOR/VENDOR/CLASS/TRACK. */
  readonly lineText: string;
  /** Log index of its anchor. */
  readonly index: number;
  /** Every block is here and the whole has the digest of the manifest. */
  readonly complete: boolean;
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS image (
  line BLOB NOT NULL, release BLOB NOT NULL, image BLOB NOT NULL,
  line_text TEXT NOT NULL, anchor INTEGER NOT NULL,
  complete INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0, -- 0 open, 1 held here, 2 left to others
  PRIMARY KEY (line, release, image)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS image_digest ON image (image);
CREATE INDEX IF NOT EXISTS image_open ON image (anchor) WHERE held = 0;
CREATE TABLE IF NOT EXISTS cursor (id INTEGER PRIMARY KEY CHECK (id = 0), size INTEGER NOT NULL);
INSERT OR IGNORE INTO cursor VALUES (0, 0);
`;

const ANCHOR_TYPE = 'firmament.image.anchor+cbor';
/** Of up to 16,384 chunks each. */
const MAX_ANCHORS = 32;

export class Images {
  readonly #database: Database;
  readonly #replica: Replica;
  /** By log index: an anchor never changes. */
  readonly #anchors = new Map<number, Anchor>();

  constructor(database: Database, replica: Replica) {
    this.#database = database;
    this.#replica = replica;
    database.exec(SCHEMA);
    this.catchUp();
  }

  /** Takes in the statements that were ordered since the last call. */
  catchUp(): void {
    const { size } = this.#replica.head();
    const from = Number(this.#database.prepare('SELECT size FROM cursor').get()?.['size'] ?? 0);
    if (from >= size) return;
    transaction(this.#database, () => {
      for (let index = from; index < size; index++) this.#take(index);
      this.#database.prepare('UPDATE cursor SET size = ?').run(size);
    });
  }

  #take(index: number): void {
    const stored = this.#replica.statement(index);
    // Most statements are of other kinds: what can't be an anchor is not parsed.
    if (
      !stored ||
      !Buffer.from(stored.bytes.buffer, stored.bytes.byteOffset, stored.bytes.length).includes(
        ANCHOR_TYPE,
      )
    )
      return;
    const statement = parseStatement(stored.bytes);
    if (statement.kind !== 'image.anchor') return;
    const anchor = parseAnchor(statement);
    this.#database
      .prepare(
        'INSERT OR IGNORE INTO image (line, release, image, line_text, anchor) VALUES (?, ?, ?, ?, ?)',
      )
      .run(
        lineKey(parseLineText(statement.subject)),
        anchor.release,
        anchor.image,
        statement.subject,
        index,
      );
  }

  /** Releases that have this image: complete here first, then by age, so that no copy goes before the original. */
  of(sha256: Uint8Array): readonly AnchoredImage[] {
    return this.#rows('WHERE image = ? ORDER BY complete DESC, anchor LIMIT 64', sha256);
  }

  /** What is anchored below a log index, not held by this node and not left to others, newest first. */
  open(below: number): readonly AnchoredImage[] {
    return this.#rows('WHERE held = 0 AND anchor < ? ORDER BY anchor DESC LIMIT 128', below);
  }

  #rows(where: string, ...values: readonly (Uint8Array | number)[]): readonly AnchoredImage[] {
    const rows = this.#database.prepare(`SELECT * FROM image ${where}`).all(...values);
    return rows.map((row) => ({
      line: row['line'] as Uint8Array,
      release: row['release'] as Uint8Array,
      image: row['image'] as Uint8Array,
      lineText: row['line_text'] as string,
      index: Number(row['anchor']),
      complete: row['complete'] === 1,
    }));
  }

  markComplete(image: ImageKey): void {
    this.#mark('complete = 1', image);
  }

  markHeld(image: ImageKey): void {
    this.#mark('held = 1', image);
  }

  /** Enough others hold it. */
  markLeft(image: ImageKey): void {
    this.#mark('held = 2', image);
  }

  #mark(
    change: 'complete = 1' | 'held = 1' | 'held = 2',
    { line, release, image }: ImageKey,
  ): void {
    transaction(this.#database, () =>
      this.#database
        .prepare(`UPDATE image SET ${change} WHERE line = ? AND release = ? AND image = ?`)
        .run(line, release, image),
    );
  }

  /** What the author anchored: size, root and chunks. Errors: ANCHOR_UNKNOWN. */
  anchor(image: ImageKey): Anchor {
    const { index } = getAnchor(this.#replica.view(), image) ?? fail('ANCHOR_UNKNOWN');
    const kept = this.#anchors.get(index);
    if (kept) return kept;
    const stored = this.#replica.statement(index) ?? fail('ANCHOR_UNKNOWN');
    const anchor = parseAnchor(parseStatement(stored.bytes));
    this.#anchors.set(index, anchor);
    if (this.#anchors.size > MAX_ANCHORS)
      this.#anchors.delete(this.#anchors.keys().next().value ?? index);
    return anchor;
  }
}
