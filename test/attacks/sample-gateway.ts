/** The core of a gateway over a database in memory, with one device, and nodes that answer it as a test says. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Offer } from '../../src/api/downlink.ts';
import { transaction } from '../../src/database.ts';
import { FirmamentError } from '../../src/errors.ts';
import { Announcer } from '../../src/gateway/announcer.ts';
import { Campaign } from '../../src/gateway/campaign.ts';
import { Decisions } from '../../src/gateway/decisions.ts';
import { Devices } from '../../src/gateway/devices.ts';
import { Downloads } from '../../src/gateway/downloads.ts';
import { Events } from '../../src/gateway/events.ts';
import { Follower } from '../../src/gateway/follower.ts';
import { Offers } from '../../src/gateway/offers.ts';
import { DEFAULT_POLICY } from '../../src/gateway/policy.ts';
import { PolicyChanges } from '../../src/gateway/policy-changes.ts';
import { Releases } from '../../src/gateway/releases.ts';
import { openRepository } from '../../src/gateway/repository.ts';
import { openState } from '../../src/gateway/state.ts';
import type { ImageSource } from '../../src/reader/download.ts';
import type { NodeAccess } from '../../src/reader/nodes.ts';
import { silent } from '../../src/testing/gateway-edge.ts';
import { seeded } from '../../src/testing/seeded.ts';
import type { SampleAnswers } from './sample-device.ts';
import type { SampleAuthor, SampleLedger } from './sample-ledger.ts';
import { NOW } from './sample-proof.ts';

export interface SampleGateway extends AsyncDisposable {
  readonly campaign: Campaign;
  /** What the device's topic retains: each offer that was ever published, and the last payload. */
  readonly offers: readonly Offer[];
  readonly retained: string;
  /** Codes of what was refused, and other words of the event log by step. */
  said(step: string): readonly string[];
  /** A round over these nodes; what came of it is settled. */
  round(...nodes: readonly SampleAnswers[]): Promise<void>;
}

export interface SampleGatewayOptions {
  /** What the author's own servers give, asked last. */
  readonly authorServer?: (sha256: string) => readonly ImageSource[];
  /** One unless said otherwise. */
  readonly devices?: number;
}

const LAMP = { type: 'lamp', model: 'lamp', hardware: '1.0' };

/** Follows the author's line, for devices that run nothing yet. */
export async function sampleGateway(
  ledger: SampleLedger,
  author: SampleAuthor,
  { authorServer = () => [], devices: count = 1 }: SampleGatewayOptions = {},
): Promise<SampleGateway> {
  const directory = mkdtempSync(join(tmpdir(), 'firmament-sample-gateway-'));
  let now = NOW;
  const clock = (): number => now;
  const chance = seeded(1);
  const random = (length: number): Uint8Array =>
    Uint8Array.from({ length }, () => Math.floor(chance() * 256));
  const database = openState(':memory:');
  const events = new Events(database, clock);
  const releases = new Releases(database);
  const devices = new Devices(database);
  const offers = new Offers(database, clock, random);
  const groups = new Map([['default', { ...DEFAULT_POLICY, functional: 'automatic' as const }]]);
  const decisions = new Decisions(database, groups);
  let nodes: readonly SampleAnswers[] = [];
  const { networkId } = ledger.root;
  const line = {
    name: 'line',
    line: author.line,
    anchor: author.key.publicKey,
    compatible: [{ type: 'lamp', model: 'lamp', hardware: ['1.0'] }],
    reportKey: null,
    urls: [],
    urlsCa: null,
  };
  const follower = new Follower({
    network: { root: ledger.root, lines: [line] },
    releases,
    policyChanges: new PolicyChanges(database),
    events,
    nodes: () => nodes.map((answers, i) => access(`node/${i}`, answers)),
    genesis: async () => networkId,
    staleInstall: 'never',
    clock,
  });
  const downloads = new Downloads({
    repository: await openRepository({ directory, limit: 1 << 20 }),
    releases,
    devices,
    offers,
    events,
    logger: silent,
    clock,
    followerOf: () => follower,
    sources: ({ sha256 }) => [
      ...follower.nodes().map((node) => node.image(Buffer.from(sha256, 'hex'))),
      ...authorServer(sha256),
    ],
  });
  const published: string[] = [];
  const downlink = {
    publish: async (_device: string, _channel: string, payload: string) =>
      void published.push(payload),
  };
  const announcer = new Announcer({ devices, offers, releases, downlink, logger: silent });
  const campaign = new Campaign({
    database,
    followers: [follower],
    devices,
    releases,
    downloads,
    offers,
    decisions,
    events,
    announcer,
    staleInstall: 'never',
    clock,
    logger: silent,
    hour: () => 12,
  });
  downloads.onStored(() => campaign.reviewSoon());
  const about = { name: 'lamp', mac: null, vendorClaim: null };
  const nothing = { digest: '', sequence: '0', version: '', sha256: '' };
  transaction(database, () => {
    for (let i = 0; i < count; i++) {
      const id = i.toString(16).padStart(32, '0');
      devices.add({ id, tier: 'psk', ...LAMP, ...about }, { psk: random(32) }, now);
      campaign.heard(id, { ...LAMP, ...nothing });
    }
  });
  return {
    campaign,
    get offers() {
      return published
        .filter((payload) => payload !== '')
        .map((payload) => JSON.parse(payload) as Offer);
    },
    get retained() {
      return published.at(-1) ?? '';
    },
    said: (step) =>
      events
        .after(0)
        .filter((event) => event.step === step)
        .map(({ detail }) => detail),
    async round(...asked) {
      nodes = asked;
      await follower.poll();
      await campaign.reviewAll();
      await downloads.idle();
      await campaign.reviewAll();
      // Past every pause: who was set aside is asked again.
      now += 4000;
    },
    async [Symbol.asyncDispose]() {
      await downloads[Symbol.asyncDispose]();
      database.close();
      rmSync(directory, { recursive: true });
    },
  };
}

function access(name: string, answers: SampleAnswers): NodeAccess {
  return {
    name,
    latest: async (line) => answers.latest(line),
    policies: async (from) => answers.policies?.(from) ?? [],
    release: async (_line, digest) => answers.release(digest),
    image: (sha256) => imageSource(name, () => answers.image(sha256)),
    report: async () => {
      throw new FirmamentError('NET_UNREACHABLE');
    },
  };
}

/** Gives these bytes. */
export function imageSource(name: string, bytes: () => Uint8Array): ImageSource {
  return {
    name,
    async *read(offset, length) {
      yield bytes().subarray(offset, offset + length);
    },
  };
}
