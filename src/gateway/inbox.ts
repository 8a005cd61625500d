/** What devices say: hellos, questions, states of attempts, reports. Who speaks is the session's key, never the payload. */
import { decodeHello, decodeStatus, type Channel } from '../api/downlink.ts';
import { equal, hex, text } from '../bytes.ts';
import { asMap, asText, asUint } from '../cbor/read.ts';
import { AUD, COUNTER, CWT_CLAIMS, HEAD_SIZE, KID } from '../cose/claims.ts';
import { thumbprint } from '../cose/key.ts';
import type { Clock } from '../clock.ts';
import { transaction, type Database } from '../database.ts';
import { check, codeOf, fail } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { RateLimiter } from '../net/limits.ts';
import type { ReportRecord } from '../reports/record.ts';
import { readDigest } from '../suit/digest.ts';
import { parseItem } from '../suit/item.ts';
import { explainReport } from '../suit/explain.ts';
import { verifyReport } from '../suit/report.ts';
import type { Campaign } from './campaign.ts';
import type { Devices } from './devices.ts';
import type { Downloads } from './downloads.ts';
import type { EventInput, Events } from './events.ts';
import type { GatewayFaultPoint } from './fault.ts';
import { ENDS, type Offers } from './offers.ts';
import type { Releases } from './releases.ts';

export interface InboxParts {
  readonly database: Database;
  readonly devices: Devices;
  readonly offers: Offers;
  readonly releases: Releases;
  readonly campaign: Campaign;
  readonly downloads: Downloads;
  readonly events: Events;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Id of the network (hex) on which a line is. */
  readonly networkOf: (line: string) => string | undefined;
  /** Keeps what a report said for the author of the line, if the owner gave a key of the author's. */
  readonly keepRecord: (device: string, record: Omit<ReportRecord, 'salt'>) => void;
  /** Entries of the event log that one device may cause. */
  readonly entries: RateLimiter;
  readonly faultPoint?: GatewayFaultPoint | undefined;
}

const MAX_REPORT = 16_384;

/**
 * Takes one message: what it says is on disk when this returns. A device's nonsense is its own problem and throws
 * nothing; what is our fault is thrown, so that the message is not acknowledged. Errors: DATABASE_*.
 */
export function take(
  parts: InboxParts,
  device: string,
  channel: Exclude<Channel, 'offer' | 'time'>,
  payload: Uint8Array,
): void {
  try {
    check(parts.devices.get(device)?.status === 'active', 'GATEWAY_DEVICE_UNKNOWN');
    if (channel === 'report') report(parts, device, payload);
    else if (channel === 'status') status(parts, device, payload);
    else {
      parts.campaign.heard(device, decodeHello(text(payload)));
      parts.campaign.review(device, channel === 'ask');
    }
  } catch (error) {
    const code = codeOf(error);
    if (!code || code.startsWith('DATABASE_')) throw error;
    parts.logger.debug('a message of a device was refused', { device, channel, code });
    note(parts, { step: 'refused', device, detail: `${channel}: ${code}` });
  }
}

// A device that never stops talking would push everything else out of the log.
function note({ entries, events }: InboxParts, event: EventInput & { device: string }): void {
  if (entries.take(event.device) === 0) events.add(event);
}

function status(parts: InboxParts, device: string, payload: Uint8Array): void {
  const { offer, state, detail } = decodeStatus(text(payload));
  const { offers, releases, devices, campaign, downloads, faultPoint } = parts;
  const before = offers.get(offer)?.state;
  const stored = offers.status(device, offer, state, detail);
  devices.seen(device, parts.clock());
  if (stored.state === before) return;
  const { digest } = stored;
  const release = releases.release(digest);
  if (stored.state === 'installed' && release)
    devices.runs(device, { ...release, sequence: String(release.sequence) });
  faultPoint?.('status.written');
  if (ENDS.includes(stored.state)) campaign.ended(stored);
  else note(parts, { step: 'status', device, digest, detail: `${state} ${detail}`.trim() });
  if (stored.detail.startsWith('DEVICE_DOWNLOAD_MISMATCH') && release)
    downloads
      .doubt(release)
      .catch((error: unknown) => parts.logger.error('an image can not be read', { error }));
}

// T25: signed by the key that enrolled here, about the release that was offered, on its network, once an offer, counter growing.
function report(parts: InboxParts, device: string, payload: Uint8Array): void {
  check(payload.length <= MAX_REPORT, 'DOWNLINK_MALFORMED', 'a report too large');
  const key = parts.devices.key(device) ?? fail('GATEWAY_DEVICE_UNKNOWN', 'no key is enrolled');
  const { report: content, header } = verifyReport(payload, key);
  const kid = header.get(KID);
  check(
    kid instanceof Uint8Array && equal(kid, thumbprint(key)),
    'GATEWAY_DEVICE_UNKNOWN',
    'a report that names another key',
  );
  const nonce =
    content.nonce ?? fail('DOWNLINK_MALFORMED', 'a report without the nonce of an offer');
  const offer = parts.offers.byNonce(device, hex(nonce));
  const digest = readDigest(parseItem(content.digest, 'digest'), 'digest').bytes;
  check(
    hex(digest) === offer.digest,
    'GATEWAY_OFFER_UNKNOWN',
    'a report about another release than the offer',
  );
  const claims = asMap(header.get(CWT_CLAIMS) ?? null, 'CWT claims');
  const network = asText(claims.get(AUD) ?? null, 'aud', 64);
  const line = parts.releases.release(offer.digest)?.line ?? '';
  check(network === parts.networkOf(line), 'GATEWAY_OFFER_UNKNOWN', 'a report of another network');
  asUint(claims.get(HEAD_SIZE) ?? null, 'head size');
  const counter = asUint(claims.get(COUNTER) ?? null, 'counter');
  const result = explainReport(content).join(' ');
  transaction(parts.database, () => {
    parts.devices.takeReportCounter(device, counter);
    parts.offers.takeReport(offer, payload);
    parts.keepRecord(device, { report: payload, deviceKey: key, nonce, release: digest, line });
    parts.events.add({ step: 'report', device, digest: offer.digest, detail: result });
  });
}
