/** The owner's words about single devices and releases: consent, veto, postponement, opting out; and groups' policies. */
import type { Database } from '../database.ts';
import { policyFromJson } from './policy-json.ts';
import { DEFAULT_POLICY, type GroupPolicy } from './policy.ts';

export type Word = 'consent' | 'veto' | 'postpone' | 'opt-out';

/** For every device, or every release. */
export const ALL = '*';

/** One word of the owner's. */
export interface Said {
  /** Or `ALL`. */
  readonly device: string;
  /** About this very release, not about all. */
  readonly toThis: boolean;
  readonly word: Word;
  readonly until: number | null;
}

export class Decisions {
  readonly #database: Database;
  readonly #configured: ReadonlyMap<string, GroupPolicy>;

  constructor(database: Database, configured: ReadonlyMap<string, GroupPolicy>) {
    this.#database = database;
    this.#configured = configured;
  }

  /** `until` in POSIX seconds, for a postponement. */
  say(word: Word, device: string, digest: string, until: number | null = null): void {
    this.#database
      .prepare(
        `INSERT INTO decision (device, digest, word, until) VALUES (?, ?, ?, ?)
         ON CONFLICT (device, digest, word) DO UPDATE SET until = excluded.until`,
      )
      .run(device, digest, word, until);
  }

  takeBack(word: Word, device: string, digest: string): void {
    this.#database
      .prepare('DELETE FROM decision WHERE device = ? AND digest = ? AND word = ?')
      .run(device, digest, word);
  }

  /** Everything that was said of a release, or of all. */
  about(digest: string): readonly Said[] {
    return this.#database
      .prepare('SELECT device, digest, word, until FROM decision WHERE digest IN (?, ?)')
      .all(digest, ALL)
      .map((row) => ({
        device: row['device'] as string,
        toThis: row['digest'] !== ALL,
        word: row['word'] as Word,
        until: row['until'] as number | null,
      }));
  }

  /** What the owner set for a group while the gateway ran, else its configuration, else the defaults. */
  policy(group: string): GroupPolicy {
    const row = this.#database.prepare('SELECT policy FROM "group" WHERE name = ?').get(group);
    if (row) return policyFromJson(JSON.parse(row['policy'] as string));
    return this.#configured.get(group) ?? DEFAULT_POLICY;
  }

  setPolicy(group: string, policy: GroupPolicy): void {
    this.#database
      .prepare(
        'INSERT INTO "group" (name, policy) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET policy = excluded.policy',
      )
      .run(group, JSON.stringify(policy));
  }
}
