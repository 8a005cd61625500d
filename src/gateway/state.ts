/** The gateway's tables: everything that must survive a kill lies in one SQLite file. */
import { openDatabase, type Database } from '../database.ts';

const SCHEMA = `
CREATE TABLE IF NOT EXISTS device (
  id TEXT PRIMARY KEY, tier TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, model TEXT NOT NULL,
  hardware TEXT NOT NULL, mac TEXT, "group" TEXT NOT NULL DEFAULT 'default', status TEXT NOT NULL DEFAULT 'active',
  spki BLOB, point BLOB, psk BLOB, vendor_claim TEXT, enrolled INTEGER NOT NULL,
  digest TEXT NOT NULL DEFAULT '', sequence TEXT NOT NULL DEFAULT '0', version TEXT NOT NULL DEFAULT '',
  sha256 TEXT NOT NULL DEFAULT '', battery INTEGER, last_seen INTEGER, known INTEGER NOT NULL DEFAULT 0,
  report_counter INTEGER NOT NULL DEFAULT -1
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS network (
  id TEXT PRIMARY KEY, root BLOB NOT NULL, state BLOB NOT NULL, lines TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS line (
  line TEXT PRIMARY KEY, proof BLOB NOT NULL, links BLOB NOT NULL, checked INTEGER NOT NULL, freshness TEXT NOT NULL,
  owner TEXT NOT NULL, agreed_owner TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS release (
  digest TEXT PRIMARY KEY, line TEXT NOT NULL, sequence TEXT NOT NULL, version TEXT NOT NULL, urgency TEXT NOT NULL,
  envelope BLOB NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL, stored INTEGER NOT NULL DEFAULT 0,
  seen INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS offer (
  offer TEXT PRIMARY KEY, device TEXT NOT NULL, digest TEXT NOT NULL, mode TEXT NOT NULL, nonce TEXT NOT NULL,
  state TEXT NOT NULL, detail TEXT NOT NULL DEFAULT '', attempt INTEGER NOT NULL, made INTEGER NOT NULL,
  changed INTEGER NOT NULL, reported INTEGER NOT NULL DEFAULT 0, report BLOB, number INTEGER NOT NULL UNIQUE
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS offer_attempt ON offer (device, digest, state);
CREATE INDEX IF NOT EXISTS offer_open ON offer (device, number)
  WHERE state IN ('offered','accepted','downloading','installing','postponed');
CREATE INDEX IF NOT EXISTS offer_device ON offer (device, number);
CREATE INDEX IF NOT EXISTS offer_digest ON offer (digest, state);
CREATE INDEX IF NOT EXISTS offer_state ON offer (state);
CREATE TABLE IF NOT EXISTS decision (
  device TEXT NOT NULL, digest TEXT NOT NULL, word TEXT NOT NULL, until INTEGER, PRIMARY KEY (device, digest, word)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS "group" (name TEXT PRIMARY KEY, policy TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (
  id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, step TEXT NOT NULL, device TEXT, line TEXT, digest TEXT,
  detail TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS code (
  hash BLOB PRIMARY KEY, model TEXT, expires INTEGER NOT NULL, spki BLOB, certificate TEXT, device TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS report_key (id INTEGER PRIMARY KEY CHECK (id = 0), secret BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS report_record (
  id INTEGER PRIMARY KEY, network TEXT NOT NULL, author TEXT NOT NULL, device TEXT NOT NULL, taken INTEGER NOT NULL,
  record BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS report_record_owner ON report_record (network, author, taken);
CREATE TABLE IF NOT EXISTS report_batch (
  root BLOB PRIMARY KEY, network TEXT NOT NULL, author TEXT NOT NULL, made INTEGER NOT NULL, own BLOB, sealed BLOB,
  node TEXT, proof BLOB
) WITHOUT ROWID;
`;

export function openState(path: string): Database {
  const database = openDatabase(path);
  database.exec(SCHEMA);
  return database;
}
