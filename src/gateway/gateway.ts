/** One gateway, put together from its configuration: the only place that knows all its parts. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodePayload, type GatewayTime } from '../api/downlink.ts';
import { formatBundle } from '../api/enrolment.ts';
import { httpStatus } from '../api/status.ts';
import type { Clock } from '../clock.ts';
import { check, codeOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { createClient } from '../net/client.ts';
import { createServer, type Server } from '../net/server.ts';
import type { TlsCredentials } from '../net/tls.ts';
import { retrievalNodes } from '../reader/nodes.ts';
import { nodesOf } from '../registry/policy.ts';
import { apiRoutes } from './api-routes.ts';
import { openAuthority } from './authority.ts';
import { openEmbeddedBroker, type EmbeddedBroker } from './broker.ts';
import { Campaign } from './campaign.ts';
import type { GatewayConfig, Listener, NetworkConfig } from './config.ts';
import { Decisions } from './decisions.ts';
import { Devices } from './devices.ts';
import type { Downlink } from './downlink-port.ts';
import { EnrolmentCodes } from './enrolment-codes.ts';
import { enrolmentRoutes } from './enrolment-routes.ts';
import { Events } from './events.ts';
import { openExternalBroker } from './external-broker.ts';
import { firmwareRoutes } from './firmware-routes.ts';
import { Follower } from './follower.ts';
import { openGatewayClock } from './kernel-clock.ts';
import { take, type InboxParts } from './inbox.ts';
import { Offers } from './offers.ts';
import { Releases } from './releases.ts';
import { openRepository } from './repository.ts';
import { openSntp } from './sntp.ts';
import { openState } from './state.ts';

export interface GatewayOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The hour of the day, 0 to 23, where the gateway is. */
  readonly hour?: () => number;
}

export interface Gateway extends AsyncDisposable {
  readonly https: number;
  readonly api: number;
  /** Undefined with an external broker. */
  readonly mqtt: number | undefined;
  /** SHA-256 of the gateway's root certificate, hex. */
  readonly rootHash: string;
  /** One round over all lines and devices. */
  poll(): Promise<void>;
}

/** How often devices are looked at again: windows open, postponements end. Milliseconds. */
const REVIEW_MS = 30_000;

/** How often online devices are told the time. Milliseconds. */
const TIME_MS = 3_600_000;

/**
 * Starts a gateway; it listens when this resolves, whether any node can be reached or not.
 * Errors: GATEWAY_CONFIG, NET_*, DATABASE_*.
 */
export async function startGateway(
  config: GatewayConfig,
  options: GatewayOptions,
): Promise<Gateway> {
  const { clock, logger, hour = () => new Date(clock() * 1000).getHours() } = options;
  await using cleanup = new AsyncDisposableStack();
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  mkdirSync(config.data, { recursive: true, mode: 0o700 });
  const token = readToken(config.tokenFile);
  const authority = await openAuthority({
    directory: join(config.data, 'authority'),
    name: config.name,
    hosts: config.hosts,
    clock,
  });
  const database = cleanup.use(openState(join(config.data, 'gateway.db')));
  const devices = new Devices(database);
  const events = new Events(database, clock);
  const releases = new Releases(database);
  const offers = new Offers(database, clock, random);
  const decisions = new Decisions(database, config.groups);
  const repository = await openRepository({
    directory: join(config.data, 'images'),
    limit: config.storage,
  });
  const followers = config.networks.map((network) => {
    const client = cleanup.use(createClient({ pins: (origin) => pinOf(follower.root, origin) }));
    const follower = openFollower(network, client);
    return follower;
  });
  function openFollower(network: NetworkConfig, client: ReturnType<typeof createClient>): Follower {
    const nodes = (root: Parameters<typeof retrievalNodes>[0]): ReturnType<typeof retrievalNodes> =>
      retrievalNodes(root, client, config.name);
    return new Follower({
      network,
      releases,
      events,
      nodes,
      staleInstall: config.staleInstall,
      clock,
    });
  }

  const downlink = cleanup.use(await openDownlink());
  async function openDownlink(): Promise<
    Downlink & Partial<Pick<EmbeddedBroker, 'port' | 'replaceCertificate'>>
  > {
    const { broker } = config;
    if (broker.kind === 'external')
      return openExternalBroker({ broker, name: config.name, devices, logger });
    const { host, port } = broker.listen;
    return openEmbeddedBroker({
      host,
      port,
      tls: authority.server,
      rootPem: authority.rootPem,
      devices,
      logger,
    });
  }

  const { staleInstall } = config;
  const campaign = new Campaign({
    followers,
    devices,
    releases,
    repository,
    offers,
    decisions,
    events,
    downlink,
    staleInstall,
    clock,
    hour,
  });
  const inbox: InboxParts = { devices, offers, releases, campaign, events, clock, logger };
  const gatewayClock = cleanup.use(openGatewayClock(clock, config.sntp?.clock ?? 'kernel'));
  const time = (): GatewayTime => gatewayClock.now();
  if (config.sntp) {
    cleanup.use(
      await openSntp({
        ...config.sntp.listen,
        milliseconds: () => Date.now(),
        synchronised: () => time().synchronised,
      }),
    );
  }
  const logFailure = (error: unknown): void =>
    logger.error('a part of the gateway failed', { code: codeOf(error), error });
  const background = (work: Promise<unknown>): void => void work.catch(logFailure);
  const tellTime = (device: string): void =>
    background(downlink.publish(device, 'time', encodePayload(time()), { retain: false }));
  downlink.listen({
    message: (device, channel, payload) => {
      background(take(inbox, device, channel, payload));
      // On connecting it would come before the device has subscribed.
      if (channel === 'hello') tellTime(device);
    },
    connected: (device) => devices.seen(device, clock()),
    disconnected: (device) => devices.seen(device, clock()),
  });

  const https = cleanup.use(listener(config.https));
  function listener({ host, port }: Listener): Server {
    return createServer({ tls: authority.server, host, port, status: httpStatus, logger });
  }
  const codes = new EnrolmentCodes(database, clock, random);
  const addresses = { mqtt: '', https: '' };
  enrolmentRoutes(https.app, {
    authority,
    codes,
    devices,
    clock,
    random,
    addresses,
    onEnrolled: (device) => events.add({ step: 'device', device, detail: 'enrolled' }),
  });
  firmwareRoutes(https.app, { releases, repository, time });
  const httpsPort = await https.listen();
  const host = config.hosts[0] ?? config.https.host;
  addresses.https = `${host}:${httpsPort}`;
  addresses.mqtt =
    config.broker.kind === 'embedded'
      ? `${host}:${downlink.port ?? 0}`
      : config.broker.url.slice('mqtts://'.length);

  const poll = async (): Promise<void> => {
    for (const follower of followers) await follower.poll();
    await campaign.reviewAll();
  };
  const api = cleanup.use(listener(config.api));
  apiRoutes(api.app, {
    name: config.name,
    token,
    devices,
    offers,
    releases,
    decisions,
    events,
    campaign,
    downlink,
    followers,
    poll,
    enrol: (model) =>
      formatBundle({
        gateway: addresses.https,
        code: codes.make(model, config.codeLifetime),
        rootHash: authority.rootHash,
        ...(model !== null && { model }),
        ...(config.wifi && { wifi: config.wifi }),
      }),
  });
  const apiPort = await api.listen();
  await campaign.republish();

  const everyDevice = (work: (device: string) => void): void => {
    for (const { id } of devices.list()) if (downlink.online(id)) work(id);
  };
  const renewed = (server: TlsCredentials): void => {
    https.replaceCertificate(server);
    api.replaceCertificate(server);
    downlink.replaceCertificate?.(server);
  };
  const stop = new AbortController();
  const loops = [
    every(config.poll * 1000, stop.signal, poll, true),
    every(REVIEW_MS, stop.signal, () => campaign.reviewAll(), false),
    every(TIME_MS, stop.signal, async () => everyDevice(tellTime), false),
    authority.keepRenewed({ renewed, failed: logFailure }, stop.signal),
  ];
  for (const loop of loops) background(loop);
  cleanup.defer(async () => {
    stop.abort();
    await Promise.allSettled(loops);
  });
  logger.info('gateway started', { name: config.name, https: httpsPort, api: apiPort });
  const owned = cleanup.move();
  return {
    https: httpsPort,
    api: apiPort,
    mqtt: downlink.port,
    rootHash: authority.rootHash,
    poll,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function pinOf(root: Parameters<typeof retrievalNodes>[0], origin: string): Uint8Array | undefined {
  return nodesOf(root.policy).find(({ node }) => new URL(node.url).origin === origin)?.node.spki;
}

function readToken(path: string): string {
  const token = readFileSync(path, 'utf8').trim();
  check(
    token.length >= 16 && token.length <= 512,
    'GATEWAY_CONFIG',
    'the token has 16 to 512 characters',
  );
  return token;
}

async function every(
  ms: number,
  signal: AbortSignal,
  work: () => Promise<void>,
  atOnce: boolean,
): Promise<void> {
  if (atOnce) await work();
  while (!signal.aborted) {
    await sleep(ms, undefined, { signal }).catch(() => undefined);
    if (!signal.aborted) await work();
  }
}
