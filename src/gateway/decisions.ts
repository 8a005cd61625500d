/** The owner's words about single devices and releases: consent, veto, postponement, opting out; and groups' policies. */
import type { Database } from '../database.ts';
import { policyFromJson } from './policy-json.ts';
import { DEFAULT_POLICY, type GroupPolicy } from './policy.ts';

export type Word = 'consent' | 'veto' | 'postpone' | 'opt-out';

/** For every device, or every release. */
export const ALL = '*';

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

  /** Whether the word stands for this device and release, or for all of either. */
  stands(word: Word, device: string, digest: string): boolean {
    return this.#rows(word, device, digest).length > 0;
  }

  /** Whether the word stands for this very release, not for all. */
  standsFor(word: Word, device: string, digest: string): boolean {
    const row = this.#database
      .prepare('SELECT 1 FROM decision WHERE word = ? AND device IN (?, ?) AND digest = ?')
      .get(word, device, ALL, digest);
    return row !== undefined;
  }

  /** The latest time until which this is postponed; null: it is not. */
  postponedUntil(device: string, digest: string): number | null {
    const times = this.#rows('postpone', device, digest).map((row) => Number(row['until'] ?? 0));
    return times.length > 0 ? Math.max(...times) : null;
  }

  #rows(word: Word, device: string, digest: string): readonly Record<string, unknown>[] {
    return this.#database
      .prepare(
        'SELECT until FROM decision WHERE word = ? AND device IN (?, ?) AND digest IN (?, ?)',
      )
      .all(word, device, ALL, digest, ALL);
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
