/** What devices say: hellos, questions, states of attempts, reports. Who speaks is the session's key, never the payload. */
import { decodeHello, decodeStatus, type Channel } from '../api/downlink.ts';
import { hex, text } from '../bytes.ts';
import { asMap, asText, asUint } from '../cbor/read.ts';
import { AUD, COUNTER, CWT_CLAIMS } from '../cose/claims.ts';
import type { Clock } from '../clock.ts';
import { check, codeOf, fail } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { readDigest } from '../suit/digest.ts';
import { parseItem } from '../suit/item.ts';
import { verifyReport } from '../suit/report.ts';
import type { Campaign } from './campaign.ts';
import type { Devices } from './devices.ts';
import type { Events } from './events.ts';
import type { Offers } from './offers.ts';
import type { Releases } from './releases.ts';

export interface InboxParts {
  readonly devices: Devices;
  readonly offers: Offers;
  readonly releases: Releases;
  readonly campaign: Campaign;
  readonly events: Events;
  readonly clock: Clock;
  readonly logger: Logger;
}

const ENDED: readonly string[] = ['installed', 'rolled-back', 'refused'];

/** Takes one message. Never throws: a device's nonsense is its own problem. */
export async function take(
  parts: InboxParts,
  device: string,
  channel: Exclude<Channel, 'offer' | 'time'>,
  payload: Uint8Array,
): Promise<void> {
  try {
    if (channel === 'hello' || channel === 'ask')
      await hello(parts, device, payload, channel === 'ask');
    else if (channel === 'status') await status(parts, device, payload);
    else report(parts, device, payload);
  } catch (error) {
    const code = codeOf(error);
    if (!code) throw error;
    parts.logger.warn('a message of a device was refused', { device, channel, code });
    parts.events.add({ step: 'refused', device, detail: `${channel}: ${code}` });
  }
}

async function hello(
  parts: InboxParts,
  device: string,
  payload: Uint8Array,
  asked: boolean,
): Promise<void> {
  parts.campaign.heard(device, decodeHello(text(payload)));
  await parts.campaign.review(device, asked);
}

async function status(parts: InboxParts, device: string, payload: Uint8Array): Promise<void> {
  const { offer, state, detail } = decodeStatus(text(payload));
  const before = parts.offers.get(offer)?.state;
  const stored = parts.offers.status(device, offer, state, detail);
  parts.devices.seen(device, parts.clock());
  if (stored.state === before) return;
  if (ENDED.includes(stored.state)) {
    await parts.campaign.ended(stored);
    await parts.campaign.reviewAll();
  } else {
    parts.events.add({
      step: 'status',
      device,
      digest: stored.digest,
      detail: `${state} ${detail}`.trim(),
    });
  }
}

// T25: signed by the key that enrolled here, about the release that was offered, once an offer, counter growing.
function report(parts: InboxParts, device: string, payload: Uint8Array): void {
  const key = parts.devices.key(device) ?? fail('GATEWAY_DEVICE_UNKNOWN', 'no key is enrolled');
  const { report: content, header } = verifyReport(payload, key);
  const nonce =
    content.nonce ?? fail('DOWNLINK_MALFORMED', 'a report without the nonce of an offer');
  const claims = asMap(header.get(CWT_CLAIMS) ?? null, 'CWT claims');
  const offer = parts.offers.takeReport(device, hex(nonce));
  const digest = readDigest(parseItem(content.digest, 'digest'), 'digest').bytes;
  check(
    hex(digest) === offer.digest,
    'GATEWAY_OFFER_UNKNOWN',
    'a report about another release than the offer',
  );
  asText(claims.get(AUD) ?? null, 'aud', 64);
  parts.devices.takeReportCounter(device, asUint(claims.get(COUNTER) ?? null, 'counter'));
  const result = content.result === true ? 'success' : content.result.reason;
  parts.events.add({ step: 'report', device, digest: offer.digest, detail: result });
}
