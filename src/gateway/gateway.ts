/** One gateway, put together from its configuration: the only place that knows all its parts. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { encodePayload } from '../api/downlink.ts';
import { formatBundle } from '../api/enrolment.ts';
import { httpStatus } from '../api/status.ts';
import { fromHex, hex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { together } from '../database.ts';
import { codeOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { createClient } from '../net/client.ts';
import { createRateLimiter } from '../net/limits.ts';
import { createServer, type Server } from '../net/server.ts';
import { cosigningNodes, genesisFrom, retrievalNodes } from '../reader/nodes.ts';
import { lineText } from '../registry/line.ts';
import type { Root } from '../registry/root.ts';
import { Announcer } from './announcer.ts';
import { apiRoutes } from './api-routes.ts';
import { openAuthority, type Authority } from './authority.ts';
import { snapshots } from './backup.ts';
import { Campaign } from './campaign.ts';
import { challengeRoute } from './challenge-route.ts';
import { relayChallenge, type ChallengeNodes } from './challenges.ts';
import type { Listener } from './config-fields.ts';
import type { GatewayConfig } from './config.ts';
import { openDeviceTime } from './device-time.ts';
import { openDownlink, portOf } from './downlink.ts';
import { Downloads } from './downloads.ts';
import { enrolmentRoutes } from './enrolment-routes.ts';
import type { GatewayFaultPoint } from './fault.ts';
import { firmwareRoutes } from './firmware-routes.ts';
import { Follower } from './follower.ts';
import { metricRoutes } from './metric-routes.ts';
import { take } from './inbox.ts';
import { recordKeeper, reportKeysOf } from './report-keeping.ts';
import { reportRoutes } from './report-routes.ts';
import { Reporting, type ReportedNetwork } from './reporting.ts';
import { openKept } from './kept.ts';
import { pinOf } from './node-pins.ts';
import { listenAll } from './listen-all.ts';
import { openLoops, shared, within } from './loops.ts';
import type { StoredRelease } from './releases.ts';
import { authorSources } from './author-sources.ts';
import { readToken } from './owner-token.ts';

export interface GatewayOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The hour of the day, 0 to 23, where the gateway is. */
  readonly hour?: () => number;
  /** Between two looks at the server certificate; six hours unless a test says otherwise. */
  readonly renewalMs?: number;
  readonly faultPoint?: GatewayFaultPoint;
}

export interface Gateway extends AsyncDisposable {
  readonly https: number;
  readonly api: number;
  /** Undefined with an external broker. */
  readonly mqtt: number | undefined;
  /** SHA-256 of the gateway's root certificate, hex. */
  readonly rootHash: string;
  /** One round over all lines, devices and the images that they need (as far as these come soon). */
  poll(): Promise<void>;
}

/** How often devices are looked at again: windows open, postponements end. Milliseconds. */
const REVIEW_MS = 30_000;
/** How long whoever asks for a round waits for images. Milliseconds. */
const DOWNLOAD_MS = 20_000;
const TIME_MS = 3_600_000;
/** How often batches of reports are looked at: whether a period is over, whether one is on the ledger. */
const REPORTS_MS = 60_000;
const RENEWAL_MS = 6 * 3_600_000;
// Of the event log, for one device.
const ENTRIES = { perSecond: 0.05, burst: 100 };

/**
 * Starts a gateway; it listens when this resolves, whether any node can be reached or not.
 * Errors: GATEWAY_CONFIG, NET_*, DATABASE_*.
 */
export async function startGateway(
  config: GatewayConfig,
  options: GatewayOptions,
): Promise<Gateway> {
  const { clock, logger, faultPoint, hour = () => new Date(clock() * 1000).getHours() } = options;
  await using cleanup = new AsyncDisposableStack();
  mkdirSync(config.data, { recursive: true, mode: 0o700 });
  const token = readToken(config.tokenFile);
  const authority = await openAuthority({
    directory: join(config.data, 'authority'),
    name: config.name,
    hosts: config.hosts,
    clock,
  });
  const kept = cleanup.use(await openKept(config, clock));
  const { devices, events, releases } = kept;
  const { staleInstall } = config;
  const reported = new Map<string, ReportedNetwork>();
  const challenges = new Map<Follower, ChallengeNodes>();
  const followers = config.networks.map((network) => {
    const client = cleanup.use(createClient({ pins: (origin) => pinOf(follower.root, origin) }));
    const nodes = (root: Root): ReturnType<typeof retrievalNodes> =>
      retrievalNodes(root, client, config.name);
    const follower: Follower = new Follower({
      network,
      releases,
      policyChanges: kept.policyChanges,
      events,
      nodes,
      genesis: (root, name) => genesisFrom(root, name, client),
      staleInstall,
      clock,
      faultPoint,
    });
    challenges.set(follower, {
      challenged: () => cosigningNodes(follower.root, client, config.name),
      nodes: () => follower.nodes(),
    });
    reported.set(hex(network.root.networkId), {
      root: () => follower.root,
      client,
      keys: reportKeysOf(network),
    });
    return follower;
  });
  const networks = new Map(
    config.networks.flatMap(({ root, lines }) =>
      lines.map(({ line }) => [lineText(line), hex(root.networkId)] as const),
    ),
  );

  const followerOf = (line: string): Follower | undefined =>
    followers.find((follower) => follower.lines.some((each) => lineText(each.line) === line));
  const downlink = cleanup.use(await openDownlink(config, authority, devices, logger));
  const downloads = cleanup.use(
    new Downloads({
      ...kept,
      logger,
      clock,
      faultPoint,
      followerOf,
      sources: (release) => [
        ...(followerOf(release.line)?.nodes() ?? []).map((node) =>
          node.image(fromHex(release.sha256)),
        ),
        ...authorSources(config, release),
      ],
    }),
  );
  await downloads.check();
  const announcer = new Announcer({ ...kept, downlink, logger });
  const campaign = new Campaign({
    ...kept,
    followers,
    downloads,
    announcer,
    staleInstall,
    clock,
    hour,
    logger,
    faultPoint,
  });
  downloads.onStored(() => campaign.reviewSoon());
  cleanup.defer(devices.onRevoked((device) => campaign.revoked(device)));
  const { now: time } = cleanup.use(await openDeviceTime(config, clock));
  const background = (what: string, work: Promise<unknown>): void => {
    work.catch((error: unknown) => logger.warn(what, { code: codeOf(error), error }));
  };
  const tellTime = (device: string): void =>
    background(
      'a device was not told',
      downlink.publish(device, 'time', encodePayload(time()), { retain: false }),
    );
  const entries = createRateLimiter(ENTRIES, () => performance.now());
  const networkOf = (line: string): string | undefined => networks.get(line);
  const { random, records } = kept;
  const period = config.reportPeriod;
  const reporting = new Reporting({ records, networks: reported, period, clock, random, logger });
  const inbox = {
    ...kept,
    campaign,
    downloads,
    clock,
    logger,
    networkOf,
    keepRecord: recordKeeper(kept, config.networks, clock),
    entries,
    faultPoint,
  };
  downlink.listen({
    message(device, channel, payload) {
      take(inbox, device, channel, payload);
      // After its hello, not at its connect: then it has not subscribed yet (docs/spec/mqtt.md).
      if (channel === 'hello') tellTime(device);
    },
    together: (work) => together(kept.database, work),
    connected: (device) => devices.seen(device, clock()),
    disconnected: (device) => devices.seen(device, clock()),
  });

  const https = cleanup.use(server(config.https, authority, logger));
  const addresses = { mqtt: '', https: '' };
  enrolmentRoutes(https.app, {
    ...kept,
    authority,
    clock,
    addresses,
    vendors: config.vendors,
    onEnrolled: (device) => events.add({ step: 'device', device, detail: 'enrolled' }),
  });
  const [first] = config.networks;
  const network = first ? hex(first.root.networkId) : '';
  const missing = (release: StoredRelease): void =>
    background('an image was not looked at', downloads.doubt(release));
  firmwareRoutes(https.app, { ...kept, time, network, missing });
  challengeRoute(https.app, {
    relay(hash, about) {
      const follower = followerOf(lineText(about.line));
      const nodes = follower && challenges.get(follower);
      return nodes && relayChallenge(nodes, hash, about);
    },
  });
  const httpsPort = await https.listen();
  const host = config.hosts[0] ?? config.https.host;
  addresses.https = `${host}:${httpsPort}`;
  addresses.mqtt =
    config.broker.kind === 'embedded'
      ? `${host}:${portOf(downlink) ?? 0}`
      : config.broker.url.slice('mqtts://'.length);

  const round = shared(async () => {
    // One network that can't be reached holds up no other.
    const polls = await Promise.allSettled(followers.map((follower) => follower.poll()));
    await campaign.reviewAll();
    for (const each of polls) if (each.status === 'rejected') throw each.reason;
  });
  const poll = async (): Promise<void> => {
    await round();
    await within(DOWNLOAD_MS, downloads.idle());
    await campaign.reviewAll();
  };
  const api = cleanup.use(server(config.api, authority, logger));
  apiRoutes(api.app, {
    ...kept,
    name: config.name,
    token,
    campaign,
    downlink,
    followers,
    poll,
    snapshot: snapshots(kept.database, config.data),
    enrol: (model) =>
      formatBundle({
        gateway: addresses.https,
        code: kept.codes.make(model, config.codeLifetime),
        rootHash: authority.rootHash,
        ...(model !== null && { model }),
        ...(config.wifi && { wifi: config.wifi }),
      }),
  });
  reportRoutes(api.app, { reporting, devices });
  metricRoutes(api.app, { ...kept, downlink, followers });
  const apiPort = await api.listen();
  announcer.tellAll();

  const listening = cleanup.use(
    listenAll(config.listen ? followers : [], { round, events, logger }),
  );
  const loops = cleanup.use(openLoops(logger));
  loops.every(
    config.poll * 1000,
    async () => {
      await round();
      listening.roundEnded();
    },
    true,
  );
  loops.every(REVIEW_MS, async () => {
    devices.flush();
    await campaign.reviewAll();
  });
  loops.every(REPORTS_MS, () => reporting.round());
  loops.every(TIME_MS, () => {
    for (const id of devices.active()) if (downlink.online(id)) tellTime(id);
  });
  loops.every(options.renewalMs ?? RENEWAL_MS, async () => {
    if (!(await authority.renew())) return;
    for (const each of [https, api]) each.replaceCertificate(authority.server);
    if ('replaceCertificate' in downlink) downlink.replaceCertificate(authority.server);
    logger.info('the server certificate was renewed');
  });
  logger.info('gateway started', { name: config.name, https: httpsPort, api: apiPort });
  const owned = cleanup.move();
  return {
    https: httpsPort,
    api: apiPort,
    mqtt: portOf(downlink),
    rootHash: authority.rootHash,
    poll,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function server({ host, port }: Listener, authority: Authority, logger: Logger): Server {
  return createServer({ tls: authority.server, host, port, status: httpStatus, logger });
}
