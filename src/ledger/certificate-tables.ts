/** Certificates of the consortium's blocks, by height: without a gap from where its chain began. */
import type { Database } from '../database.ts';

/** 0 when there is none. */
export function lastCertified(database: Database): number {
  return Number(
    database.prepare('SELECT max(height) AS height FROM certificate').get()?.['height'] ?? 0,
  );
}

export function readCertificate(database: Database, height: number): Uint8Array | undefined {
  return database.prepare('SELECT bytes FROM certificate WHERE height = ?').get(height)?.[
    'bytes'
  ] as Uint8Array | undefined;
}

export function writeCertificate(database: Database, height: number, bytes: Uint8Array): void {
  database.prepare('INSERT INTO certificate (height, bytes) VALUES (?, ?)').run(height, bytes);
}
