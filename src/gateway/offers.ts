/** Offers to devices and what became of them: one row an attempt, kept for good. */
import type { AttemptState, OfferMode } from '../api/downlink.ts';
import { hex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { transaction, type Database } from '../database.ts';
import { check, fail } from '../errors.ts';
import type { Random } from '../random.ts';

export type OfferState = 'offered' | AttemptState | 'cancelled' | 'superseded';

export interface StoredOffer {
  readonly offer: string;
  readonly device: string;
  readonly digest: string;
  readonly mode: OfferMode;
  readonly nonce: string;
  readonly state: OfferState;
  readonly detail: string;
  /** Counts from 1 for each device and release. */
  readonly attempt: number;
  /** POSIX seconds. */
  readonly made: number;
  readonly changed: number;
  readonly reported: boolean;
}

/** What the attempts of one release in one group came to. */
export interface Progress {
  readonly devices: number;
  readonly started: number;
  readonly succeeded: number;
  readonly failed: number;
}

/** Of one device with one release. */
export interface Attempts {
  readonly made: number;
  readonly failed: number;
  /** POSIX seconds. */
  readonly lastFailure: number | null;
}

const OPEN: readonly OfferState[] = [
  'offered',
  'accepted',
  'downloading',
  'installing',
  'postponed',
];
const FAILED: readonly OfferState[] = ['rolled-back', 'refused'];
const TAKEN_BACK: readonly OfferState[] = ['cancelled', 'superseded'];
/** What a device says when its attempt is over. */
export const ENDS: readonly OfferState[] = ['installed', ...FAILED];
const OPEN_SQL = `'${OPEN.join("','")}'`;
const FAILED_SQL = `'${FAILED.join("','")}'`;

export class Offers {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #random: Random;
  #revision = 0;

  constructor(database: Database, clock: Clock, random: Random) {
    this.#database = database;
    this.#clock = clock;
    this.#random = random;
  }

  /** Another number after each change. */
  get revision(): number {
    return this.#revision;
  }

  /** The device's open offer, if it has one. */
  open(device: string): StoredOffer | undefined {
    const row = this.#database
      .prepare(
        `SELECT * FROM offer WHERE device = ? AND state IN (${OPEN_SQL}) ORDER BY number DESC LIMIT 1`,
      )
      .get(device);
    return row && offerOf(row);
  }

  /** Every open offer: they are published again when the gateway starts. */
  allOpen(): readonly StoredOffer[] {
    return this.#database
      .prepare(`SELECT * FROM offer WHERE state IN (${OPEN_SQL})`)
      .all()
      .map(offerOf);
  }

  /** How many attempts are in this state. */
  count(state: OfferState): number {
    const row = this.#database
      .prepare('SELECT COUNT(*) AS n FROM offer WHERE state = ?')
      .get(state);
    return Number(row?.['n'] ?? 0);
  }

  get(offer: string): StoredOffer | undefined {
    const row = this.#database.prepare('SELECT * FROM offer WHERE offer = ?').get(offer);
    return row && offerOf(row);
  }

  list(device?: string): readonly StoredOffer[] {
    return device === undefined
      ? this.#database
          .prepare('SELECT * FROM offer ORDER BY number DESC LIMIT 1000')
          .all()
          .map(offerOf)
      : this.#database
          .prepare('SELECT * FROM offer WHERE device = ? ORDER BY number DESC LIMIT 1000')
          .all(device)
          .map(offerOf);
  }

  /** Makes the device's one open offer; another that was open is superseded. Within the caller's transaction if it has one. */
  make(device: string, digest: string, mode: OfferMode): StoredOffer {
    const now = this.#clock();
    this.#revision += 1;
    const random = this.#random(32);
    const offer = hex(random.subarray(0, 16));
    const nonce = hex(random.subarray(16));
    let attempt = 0;
    const work = (): void => {
      this.#database
        .prepare(
          `UPDATE offer SET state = 'superseded', changed = ? WHERE device = ? AND state IN (${OPEN_SQL})`,
        )
        .run(now, device);
      attempt = this.#attempts(device, digest) + 1;
      this.#database
        .prepare(
          `INSERT INTO offer (offer, device, digest, mode, nonce, state, attempt, made, changed, number)
           VALUES (?, ?, ?, ?, ?, 'offered', ?, ?, ?, (SELECT COALESCE(MAX(number), 0) + 1 FROM offer))`,
        )
        .run(offer, device, digest, mode, nonce, attempt, now, now);
    };
    if (this.#database.inTransaction) work();
    else transaction(this.#database, work);
    return {
      offer,
      device,
      digest,
      mode,
      nonce,
      state: 'offered',
      detail: '',
      attempt,
      made: now,
      changed: now,
      reported: false,
    };
  }

  #attempts(device: string, digest: string): number {
    const row = this.#database
      .prepare('SELECT COUNT(*) AS attempts FROM offer WHERE device = ? AND digest = ?')
      .get(device, digest);
    return Number(row?.['attempts'] ?? 0);
  }

  /**
   * What the device says of its attempt. Ended attempts stay ended; one that was taken back under way may still tell
   * its end. Errors: GATEWAY_OFFER_UNKNOWN when it is not the device's own.
   */
  status(device: string, offer: string, state: AttemptState, detail: string): StoredOffer {
    const stored = this.get(offer);
    check(stored?.device === device, 'GATEWAY_OFFER_UNKNOWN', undefined, { device });
    const late = TAKEN_BACK.includes(stored.state) && ENDS.includes(state);
    if ((isOpen(stored) && stored.state !== state) || late) this.#end(offer, state, detail);
    return this.get(offer) ?? stored;
  }

  /** The owner takes an offer back. Errors: GATEWAY_OFFER_UNKNOWN. */
  cancel(offer: string, detail = 'by the owner'): StoredOffer {
    const stored = this.get(offer) ?? fail('GATEWAY_OFFER_UNKNOWN');
    if (isOpen(stored)) this.#end(offer, 'cancelled', detail);
    return this.get(offer) ?? stored;
  }

  #end(offer: string, state: OfferState, detail: string): void {
    this.#revision += 1;
    this.#database
      .prepare('UPDATE offer SET state = ?, detail = ?, changed = ? WHERE offer = ?')
      .run(state, detail.slice(0, 256), this.#clock(), offer);
  }

  /** The device's own offer with this nonce (T25). Errors: GATEWAY_OFFER_UNKNOWN. */
  byNonce(device: string, nonce: string): StoredOffer {
    const row = this.#database
      .prepare('SELECT * FROM offer WHERE device = ? AND nonce = ?')
      .get(device, nonce);
    return row ? offerOf(row) : fail('GATEWAY_OFFER_UNKNOWN', undefined, { device });
  }

  /** A report counts once an offer (T25). Within the caller's transaction. Errors: GATEWAY_REPORT_REPLAYED. */
  takeReport({ offer, device }: StoredOffer, report: Uint8Array): void {
    const { changes } = this.#database
      .prepare('UPDATE offer SET reported = 1, report = ? WHERE offer = ? AND reported = 0')
      .run(report, offer);
    check(Number(changes) === 1, 'GATEWAY_REPORT_REPLAYED', undefined, { device });
  }

  /** Digests of what the device installed last and before that. */
  lastInstalled(device: string): readonly string[] {
    return this.#database
      .prepare(
        `SELECT digest FROM offer WHERE device = ? AND state = 'installed'
         GROUP BY digest ORDER BY MAX(number) DESC LIMIT 3`,
      )
      .all(device)
      .map((row) => row['digest'] as string);
  }

  /** Of one release over the devices of one group. */
  progress(digest: string, group: string): Progress {
    const devices = this.#database
      .prepare(`SELECT COUNT(*) AS n FROM device WHERE "group" = ? AND status = 'active'`)
      .get(group);
    const row = this.#database
      .prepare(
        `SELECT COUNT(DISTINCT o.device) AS started,
           COUNT(DISTINCT CASE WHEN o.state = 'installed' THEN o.device END) AS succeeded,
           COUNT(DISTINCT CASE WHEN o.state IN (${FAILED_SQL}) THEN o.device END) AS failed
         FROM offer o JOIN device d ON d.id = o.device WHERE o.digest = ? AND d."group" = ?`,
      )
      .get(digest, group);
    return {
      devices: Number(devices?.['n'] ?? 0),
      started: Number(row?.['started'] ?? 0),
      succeeded: Number(row?.['succeeded'] ?? 0),
      failed: Number(row?.['failed'] ?? 0),
    };
  }

  /**
   * Of one device with a release that it does not run: one that it said to have installed counts as failed too, or
   * a device that forgets what it runs would get offers for ever.
   */
  failures(device: string, digest: string): Attempts {
    const row = this.#database
      .prepare(
        `SELECT COUNT(*) AS made, COUNT(CASE WHEN state IN (${FAILED_SQL}, 'installed') THEN 1 END) AS failed,
           MAX(CASE WHEN state IN (${FAILED_SQL}, 'installed') THEN changed END) AS last
         FROM offer WHERE device = ? AND digest = ?`,
      )
      .get(device, digest);
    const last = row?.['last'] ?? null;
    return {
      made: Number(row?.['made'] ?? 0),
      failed: Number(row?.['failed'] ?? 0),
      lastFailure: last === null ? null : Number(last),
    };
  }
}

/** The device may still act on it. */
export function isOpen({ state }: StoredOffer): boolean {
  return OPEN.includes(state);
}

function offerOf(row: Readonly<Record<string, unknown>>): StoredOffer {
  return {
    offer: row['offer'] as string,
    device: row['device'] as string,
    digest: row['digest'] as string,
    mode: row['mode'] === 'self' ? 'self' : 'force',
    nonce: row['nonce'] as string,
    state: row['state'] as OfferState,
    detail: row['detail'] as string,
    attempt: Number(row['attempt']),
    made: Number(row['made']),
    changed: Number(row['changed']),
    reported: row['reported'] === 1,
  };
}
