/** The owner's event log: every step from announcement to result, bounded. */
import type { Clock } from '../clock.ts';
import type { Database } from '../database.ts';

export type Step =
  | 'announcement'
  | 'verified'
  | 'refused'
  | 'compatible'
  | 'download'
  | 'stored'
  | 'offer'
  | 'status'
  | 'report'
  | 'device'
  | 'policy'
  | 'node';

export interface EventInput {
  readonly step: Step;
  readonly device?: string;
  readonly line?: string;
  readonly digest?: string;
  readonly detail: string;
}

export interface GatewayEvent extends EventInput {
  readonly id: number;
  /** POSIX seconds. */
  readonly time: number;
}

const MAX_EVENTS = 100_000;
const MAX_DETAIL = 512;

export class Events {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  add({ step, device, line, digest, detail }: EventInput): void {
    const { lastInsertRowid } = this.#database
      .prepare(
        'INSERT INTO event (time, step, device, line, digest, detail) VALUES (?, ?, ?, ?, ?, ?)',
      )
      .run(
        this.#clock(),
        step,
        device ?? null,
        line ?? null,
        digest ?? null,
        detail.slice(0, MAX_DETAIL),
      );
    const id = Number(lastInsertRowid);
    if (id % 1000 === 0)
      this.#database.prepare('DELETE FROM event WHERE id <= ?').run(id - MAX_EVENTS);
  }

  /** Events after an id, oldest first, at most 500. */
  after(id: number): readonly GatewayEvent[] {
    return this.#database
      .prepare('SELECT * FROM event WHERE id > ? ORDER BY id LIMIT 500')
      .all(id)
      .map((row) => ({
        id: Number(row['id']),
        time: Number(row['time']),
        step: row['step'] as Step,
        ...(row['device'] !== null && { device: row['device'] as string }),
        ...(row['line'] !== null && { line: row['line'] as string }),
        ...(row['digest'] !== null && { digest: row['digest'] as string }),
        detail: row['detail'] as string,
      }));
  }
}
