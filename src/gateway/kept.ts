/** What a gateway keeps: its database with everything that reads and writes it, and the images beside it. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import type { Database } from '../database.ts';
import type { Random } from '../random.ts';
import type { GatewayConfig } from './config.ts';
import { Decisions } from './decisions.ts';
import { Devices } from './devices.ts';
import { EnrolmentCodes } from './enrolment-codes.ts';
import { Events } from './events.ts';
import { Offers } from './offers.ts';
import { PolicyChanges } from './policy-changes.ts';
import { Releases } from './releases.ts';
import { ReportRecords } from './report-records.ts';
import { openRepository, type Repository } from './repository.ts';
import { openState } from './state.ts';

export interface Kept extends AsyncDisposable {
  readonly database: Database;
  readonly devices: Devices;
  readonly events: Events;
  readonly releases: Releases;
  readonly policyChanges: PolicyChanges;
  readonly offers: Offers;
  readonly records: ReportRecords;
  readonly decisions: Decisions;
  readonly codes: EnrolmentCodes;
  readonly repository: Repository;
  readonly random: Random;
}

/** Errors: DATABASE_*, DEVICE_STORAGE_*. */
export async function openKept(config: GatewayConfig, clock: Clock): Promise<Kept> {
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.use(openState(join(config.data, 'gateway.db')));
  const devices = new Devices(database);
  const repository = await openRepository({
    directory: join(config.data, 'images'),
    limit: config.storage,
  });
  // Before the database is closed.
  cleanup.defer(() => devices.flush());
  const owned = cleanup.move();
  return {
    database,
    devices,
    events: new Events(database, clock),
    releases: new Releases(database),
    policyChanges: new PolicyChanges(database),
    offers: new Offers(database, clock, random),
    records: new ReportRecords(database),
    decisions: new Decisions(database, config.groups),
    codes: new EnrolmentCodes(database, clock, random),
    repository,
    random,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
