/** The devices that the owner enrolled here: who they are, by key, and what they run. */
import type { Hello } from '../api/downlink.ts';
import type { PublicKey } from '../crypto/key.ts';
import { transaction, type Database } from '../database.ts';
import { check, fail } from '../errors.ts';

export interface RunningRelease {
  readonly digest: string;
  /** Decimal. */
  readonly sequence: string;
  readonly version: string;
  readonly sha256: string;
}

export interface RegisteredDevice {
  /** 32 hex digits. */
  readonly id: string;
  readonly tier: 'certificate' | 'psk';
  readonly name: string;
  readonly type: string;
  readonly model: string;
  readonly hardware: string;
  /** A label: it proves nothing. */
  readonly mac: string | null;
  readonly group: string;
  readonly status: 'active' | 'revoked';
  /** Null before its first release, and before it said anything. */
  readonly current: RunningRelease | null;
  /** It has said what it runs: before that nothing can be offered to it. */
  readonly known: boolean;
  readonly battery: number | null;
  /** POSIX seconds. */
  readonly lastSeen: number | null;
  /** Name of the vendor CA whose certificate the device showed. */
  readonly vendorClaim: string | null;
}

/** `spki`: SHA-256 of the enrolled key's SubjectPublicKeyInfo; `point`: x and y of the key (P-256), 64 bytes. */
export type DeviceSecret =
  | { readonly spki: Uint8Array; readonly point: Uint8Array }
  | { readonly psk: Uint8Array };

export type NewDevice = Pick<
  RegisteredDevice,
  'id' | 'tier' | 'name' | 'type' | 'model' | 'hardware' | 'mac' | 'vendorClaim'
>;

type Row = Readonly<Record<string, unknown>>;

export class Devices {
  readonly #database: Database;
  readonly #revoked = new Set<(id: string) => void>();
  // TLS asks for a key synchronously, and for each handshake.
  readonly #psk = new Map<string, Uint8Array>();
  // Every message moves it: kept here, written now and then.
  readonly #lastSeen = new Map<string, number>();

  constructor(database: Database) {
    this.#database = database;
    const rows = database
      .prepare(`SELECT id, psk FROM device WHERE tier = 'psk' AND status = 'active'`)
      .all();
    for (const row of rows) this.#psk.set(row['id'] as string, row['psk'] as Uint8Array);
  }

  /** Within the caller's transaction if it has one. A device that enrols again keeps its group and history. */
  add(device: NewDevice, secret: DeviceSecret, now: number): void {
    const { id, tier, name, type, model, hardware, mac, vendorClaim } = device;
    const spki = 'spki' in secret ? secret.spki : null;
    const point = 'point' in secret ? secret.point : null;
    const psk = 'psk' in secret ? secret.psk : null;
    this.#database
      .prepare(
        `INSERT INTO device (id, tier, name, type, model, hardware, mac, vendor_claim, spki, point, psk, enrolled)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, type = excluded.type, model = excluded.model,
           hardware = excluded.hardware, mac = excluded.mac, vendor_claim = excluded.vendor_claim, status = 'active'`,
      )
      .run(id, tier, name, type, model, hardware, mac, vendorClaim, spki, point, psk, now);
    if (psk) this.#psk.set(id, psk);
  }

  get(id: string): RegisteredDevice | undefined {
    const row = this.#database.prepare('SELECT * FROM device WHERE id = ?').get(id);
    return row && this.#deviceOf(row);
  }

  /** Errors: GATEWAY_DEVICE_UNKNOWN. */
  need(id: string): RegisteredDevice {
    return this.get(id) ?? fail('GATEWAY_DEVICE_UNKNOWN', undefined, { device: id });
  }

  list(): readonly RegisteredDevice[] {
    const rows = this.#database.prepare('SELECT * FROM device ORDER BY id').all();
    return rows.map((row) => this.#deviceOf(row));
  }

  /** Ids of the active devices. */
  active(): readonly string[] {
    return this.#database
      .prepare(`SELECT id FROM device WHERE status = 'active' ORDER BY id`)
      .all()
      .map((row) => row['id'] as string);
  }

  /** So many active devices after an id, in the order of their ids. */
  activeAfter(id: string, limit: number): readonly RegisteredDevice[] {
    return this.#database
      .prepare(`SELECT * FROM device WHERE id > ? AND status = 'active' ORDER BY id LIMIT ?`)
      .all(id, limit)
      .map((row) => this.#deviceOf(row));
  }

  /** The pre-shared key of an active device; synchronous, from memory. */
  psk(id: string): Uint8Array | undefined {
    return this.#psk.get(id);
  }

  /** SHA-256 of the key that the device enrolled with (SubjectPublicKeyInfo). */
  spki(id: string): Uint8Array | undefined {
    const row = this.#database.prepare('SELECT spki FROM device WHERE id = ?').get(id);
    return (row?.['spki'] as Uint8Array | null | undefined) ?? undefined;
  }

  /** The enrolled P-256 key, which signs the device's reports too (T25). */
  key(id: string): PublicKey | undefined {
    const row = this.#database.prepare('SELECT point FROM device WHERE id = ?').get(id);
    const point = row?.['point'] as Uint8Array | null | undefined;
    return point ? { curve: 'P-256', bytes: point } : undefined;
  }

  /** What the device says that it is and runs. Type, model and hardware stand as enrolled: a word changes no hardware. */
  heard(id: string, hello: Hello, now: number): void {
    const { digest, sequence, version, sha256, battery = null } = hello;
    this.seen(id, now);
    const device = this.need(id);
    const { current } = device;
    const same =
      (current?.digest ?? '') === digest &&
      (!current || (current.sequence === sequence && current.version === version)) &&
      (current?.sha256 ?? sha256) === sha256;
    // Most say the same again: nothing to write.
    if (device.known && same && device.battery === battery) return;
    this.#database
      .prepare(
        `UPDATE device SET digest = ?, sequence = ?, version = ?, sha256 = ?, battery = ?, known = 1 WHERE id = ?`,
      )
      .run(digest, sequence, version, sha256, battery, id);
  }

  /** It said that it installed this release. */
  runs(id: string, { digest, sequence, version, sha256 }: RunningRelease): void {
    this.#database
      .prepare('UPDATE device SET digest = ?, sequence = ?, version = ?, sha256 = ? WHERE id = ?')
      .run(digest, sequence, version, sha256, id);
  }

  /** In memory; `flush` writes it down. */
  seen(id: string, now: number): void {
    this.#lastSeen.set(id, now);
  }

  /** Writes down when each device was seen last. */
  flush(): void {
    if (this.#lastSeen.size === 0) return;
    const statement = this.#database.prepare('UPDATE device SET last_seen = ? WHERE id = ?');
    transaction(this.#database, () => {
      for (const [id, now] of this.#lastSeen) statement.run(now, id);
    });
    this.#lastSeen.clear();
  }

  /** Errors: GATEWAY_DEVICE_UNKNOWN. */
  setGroup(id: string, group: string): void {
    this.need(id);
    this.#database.prepare('UPDATE device SET "group" = ? WHERE id = ?').run(group, id);
  }

  /** A report's counter only grows (T25). Errors: GATEWAY_REPORT_REPLAYED. */
  takeReportCounter(id: string, counter: number): void {
    const { changes } = this.#database
      .prepare('UPDATE device SET report_counter = ? WHERE id = ? AND report_counter < ?')
      .run(counter, id, counter);
    check(Number(changes) === 1, 'GATEWAY_REPORT_REPLAYED', undefined, { device: id });
  }

  /** From now on the device is a stranger; whoever listens ends its session. Errors: GATEWAY_DEVICE_UNKNOWN. */
  revoke(id: string): void {
    this.need(id);
    this.#database.prepare(`UPDATE device SET status = 'revoked', psk = NULL WHERE id = ?`).run(id);
    this.#psk.delete(id);
    for (const listener of this.#revoked) listener(id);
  }

  onRevoked(listener: (id: string) => void): () => void {
    this.#revoked.add(listener);
    return () => void this.#revoked.delete(listener);
  }

  #deviceOf(row: Row): RegisteredDevice {
    return deviceOf(row, this.#lastSeen.get(row['id'] as string));
  }
}

function deviceOf(row: Row, seen: number | undefined): RegisteredDevice {
  const text = (key: string): string => row[key] as string;
  return {
    id: text('id'),
    tier: row['tier'] === 'psk' ? 'psk' : 'certificate',
    name: text('name'),
    type: text('type'),
    model: text('model'),
    hardware: text('hardware'),
    mac: row['mac'] as string | null,
    group: text('group'),
    status: row['status'] === 'revoked' ? 'revoked' : 'active',
    current:
      text('digest') === ''
        ? null
        : {
            digest: text('digest'),
            sequence: text('sequence'),
            version: text('version'),
            sha256: text('sha256'),
          },
    battery: row['battery'] as number | null,
    known: row['known'] === 1,
    lastSeen: seen ?? (row['last_seen'] as number | null),
    vendorClaim: row['vendor_claim'] as string | null,
  };
}
