/** One node, put together from its configuration: the only place that knows all its parts. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hex } from '../bytes.ts';
import { httpStatus } from '../api/status.ts';
import type { Clock } from '../clock.ts';
import { openDatabase } from '../database.ts';
import { check, codeOf, fail } from '../errors.ts';
import { openCosignerRecord } from '../ledger/cosigner-record.ts';
import type { FaultPoint } from '../fault-point.ts';
import type { Head } from '../ledger/close-block.ts';
import { openReplica, type Replica } from '../ledger/replica.ts';
import type { Logger } from '../logger.ts';
import { createClient } from '../net/client.ts';
import { clientAddress } from '../net/limits.ts';
import { createServer, type Server } from '../net/server.ts';
import { spkiSha256 } from '../net/tls.ts';
import { parseGenesis } from '../registry/genesis.ts';
import { memberName } from '../registry/orderer.ts';
import { nodesOf, type NamedNode } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';
import { policyInForce } from '../registry/state.ts';
import { openDiskStore } from '../store/disk.ts';
import { registerBlockRoutes } from '../store/http.ts';
import { Admission } from './admission.ts';
import { Answers } from './answers.ts';
import { Appointment } from './appointment.ts';
import { runBatching } from './batching.ts';
import { Bell } from './bell.ts';
import { Changes } from './changes.ts';
import { BlockTimes } from './block-times.ts';
import { takeOnlyBytes } from './byte-bodies.ts';
import { catchUp } from './catch-up.ts';
import { challengeRoute } from './challenge-route.ts';
import type { NodeConfig, NodeKeys } from './config.ts';
import { Consortium, type EnginePrograms } from './consortium.ts';
import { cosign, exchange } from './cosigning.ts';
import { Engine } from './engine.ts';
import { freezeOf, type Frozen } from './freeze.ts';
import { generalRoutes, healthOf, type GeneralParts, type Health } from './general-routes.ts';
import { Heads } from './heads.ts';
import { Holding } from './holding.ts';
import { ImageStore } from './image-store.ts';
import { Images } from './images.ts';
import { observe } from './observation.ts';
import { ownRoutes } from './own-routes.ts';
import { isPeer, peerRoutes } from './peer-routes.ts';
import { Peers } from './peers.ts';
import { registrationRoutes } from './registration-routes.ts';
import { reportBatchRoutes } from './report-batch-routes.ts';
import { ReportBatches } from './report-batches.ts';
import { Reports } from './reports.ts';
import { retrievalRoutes } from './retrieval-routes.ts';
import { spread } from './spread.ts';
import { StatementCounter } from './statement-counter.ts';
import { streamRoute } from './stream-route.ts';
import { UrgentStatements } from './urgent-statements.ts';

export interface NodeOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly cosignerRecordIsMine?: boolean;
  readonly receiptWaitMs?: number;
  /** Where CometBFT is looked for. */
  readonly programs?: EnginePrograms;
  /** Blocks between two snapshots of the consortium engine. */
  readonly snapshotEvery?: number;
  /** Told of each durable write (docs/decisions/fault-points.md). */
  readonly faultPoint?: FaultPoint;
}

export interface Node extends AsyncDisposable {
  readonly port: number;
  readonly networkId: string;
  /** Every route that it answers, as `GET /v1/root`. */
  readonly routes: readonly string[];
  health(): Health;
}

/** How long requests under way may go on when the node stops, milliseconds. */
const GRACE_MS = 1_000;

/** Requests to one other node at a time: more than an author's submissions in flight, or its blocks wait for them. */
const PER_PEER = 64;

const SNAPSHOT_EVERY = 1_000;

/** Starts a node; it listens when this resolves. Errors: NODE_CONFIG, POLICY_*, LEDGER_*, NET_*. */
export async function startNode(
  config: NodeConfig,
  keys: NodeKeys,
  options: NodeOptions,
): Promise<Node> {
  const { clock, logger, faultPoint } = options;
  await using cleanup = new AsyncDisposableStack();
  const stop = new AbortController();
  const genesis = parseGenesis(new Uint8Array(readFileSync(config.genesis)));
  mkdirSync(config.data, { recursive: true, mode: 0o700 });
  mkdirSync(dirname(config.record), { recursive: true, mode: 0o700 });
  const ledgerDatabase = cleanup.use(
    openDatabase(join(config.data, 'ledger.db'), {
      onCommit: (when) => faultPoint?.(`ledger.commit.${when}`),
    }),
  );
  const replica = openReplica(ledgerDatabase, genesis);
  const root = rootOf(replica);
  const client = cleanup.use(
    createClient({ pins: pinsOf(root), credentials: keys.tls, perOrigin: PER_PEER }),
  );
  const peers = new Peers(client, root, config.node, stop.signal);
  await catchUp(replica, peers, () => isListed(root(), config, keys), logger);
  const self = ownEntry(root(), config, keys);
  const heads = new Heads(replica, root, config.node, clock);
  let { version } = root().policy;
  replica.onHead(() => {
    if (root().policy.version !== version) heads.policyChanged();
    ({ version } = root().policy);
    heads.refresh();
  });
  const nodeDatabase = cleanup.use(
    openDatabase(join(config.data, 'node.db'), {
      onCommit: (when) => faultPoint?.(`node.commit.${when}`),
    }),
  );
  const images = new Images(nodeDatabase, replica);
  const batches = new ReportBatches(nodeDatabase);
  const urgent = new UrgentStatements(nodeDatabase, replica);
  const appointment = new Appointment(nodeDatabase, replica);
  const store = await openDiskStore(join(config.data, 'blocks'), {
    onDamaged: (cid) => logger.warn('a damaged block was removed', { cid: hex(cid) }),
    ...(faultPoint && { faultPoint }),
  });
  const bell = new Bell();
  replica.onHead(bell.ring);
  const imageStore = new ImageStore({
    replica,
    images,
    store,
    peers,
    logger,
    stop: stop.signal,
    onComplete: bell.ring,
  });

  // Serving comes before ordering and following: the others' cosigners wait for this node's answers.
  const acknowledged = (): number => (heads.hasQuorum() ? heads.quorum().head.size : 0);
  const times = new BlockTimes({
    clock,
    skew: () => root().policy.skew,
    newest: () => replica.head(),
    acknowledged: () => heads.claimed(),
  });
  replica.onHead((head) => times.took(head));
  const consortium = new Consortium({
    replica,
    peers,
    keys: keys.engine,
    config: config.engine,
    programs: options.programs ?? {},
    snapshotEvery: options.snapshotEvery ?? SNAPSHOT_EVERY,
    clock,
    logger,
  });
  const engine = new Engine({
    self: config.node,
    replica,
    peers,
    appointment,
    key: keys.statement,
    clock,
    logger,
    acknowledged,
    consortium,
    times,
  });
  const ledger = engine.port();
  if (isMember(replica, config.node)) await consortium.checkReady();
  const frozen = (): Frozen | undefined =>
    freezeOf({
      now: clock(),
      maxHold: root().policy.maxHold,
      heardAt: engine.heardAt(),
      waitingSince: urgent.waitingSince(),
    });
  const general: GeneralParts = {
    name: config.node,
    roles: self.node.roles,
    genesis,
    root,
    replica,
    heads,
    frozen,
    consortium,
  };
  const submission = {
    replica,
    ledger,
    heads,
    urgent,
    clock,
    orders: () => engine.orders(),
    receiptKey: keys.receipt,
    receiptWaitMs: options.receiptWaitMs ?? 10_000,
  };
  const server = cleanup.use(createNodeServer(config, keys, root, logger));
  const admission = new Admission(config.registrations);
  const { routes } = cleanup.use(
    observe(server.app, {
      health: () => healthOf(general),
      orders: () => engine.orders(),
      heardAt: () => engine.heardAt(),
      registrations: () => admission.underWay(),
      logger,
      requestLog: config.requestLog,
      mayRead: (request) => config.metrics === 'all' || isPeer(root(), request),
    }),
  );
  const record = openCosignerRecord({
    file: config.record,
    key: keys.cosigner,
    name: config.node,
    replica,
    ...(faultPoint && { faultPoint }),
  });
  generalRoutes(server.app, general);
  challengeRoute(server.app, {
    name: config.node,
    cosigner: keys.cosigner.publicKey.bytes,
    record,
    policy: () => root().policy,
    frozen,
    clock,
  });
  peerRoutes(server.app, {
    ledger,
    heads,
    root,
    takes: () => engine.takes(),
    rpc: (method, params) => consortium.rpc(method, params),
    urgent,
    appointment,
    clock,
    stop: stop.signal,
  });
  ownRoutes(
    server.app,
    { config, replica, ledger: ledgerDatabase, node: nodeDatabase },
    self.node.spki,
  );
  registerBlockRoutes(server, store, { allow: (request) => isPeer(root(), request) });
  if (self.node.roles.includes('registration'))
    registrationRoutes(server.app, { ...submission, imageStore, admission });
  if (self.node.roles.includes('retrieval')) {
    const answers = new Answers(replica, heads);
    const reports = new Reports(nodeDatabase);
    const changes = cleanup.use(new Changes(replica, heads));
    reportBatchRoutes(server.app, { ...submission, name: config.node, batches });
    streamRoute(server.app, { changes, stop: stop.signal });
    retrievalRoutes(server.app, { ...submission, answers, images, imageStore, reports, clock });
  }
  const port = await server.listen();

  const own = { name: config.node, replica, ledger, statementKey: keys.statement, clock, logger };
  const counter = new StatementCounter(config.node, replica, clock);
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  const batching = { ...own, batches, counter, random, gather: config.reportGather };
  const holding = new Holding({
    ...own,
    counter,
    images,
    imageStore,
    replicate: config.replicate,
  });
  const cosigning = {
    name: config.node,
    replica,
    record,
    heads,
    peers,
    policy: () => root().policy,
    frozen,
    isBackdated: (head: Head) => times.isBackdated(head),
    clock,
    logger,
    recordIsMine: options.cosignerRecordIsMine ?? false,
  };
  const running = [
    engine.run(stop.signal),
    spread({ self: config.node, replica, ledger, peers, urgent, appointment, logger }, stop.signal),
    cosign(cosigning, stop.signal),
    exchange(cosigning, stop.signal),
    holding.run(bell, stop.signal),
    runBatching(batching, stop.signal),
  ];
  for (const part of running)
    part.catch((error: unknown) => logFailure(logger, stop.signal, error));
  cleanup.defer(async () => {
    stop.abort();
    await Promise.allSettled(running);
  });
  logger.info('node started', {
    node: config.node,
    port,
    mode: root().policy.mode,
    orders: engine.orders(),
  });
  const owned = cleanup.move();
  return {
    port,
    networkId: hex(genesis.networkId),
    routes,
    health: () => healthOf(general),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function logFailure(logger: Logger, signal: AbortSignal, error: unknown): void {
  if (!signal.aborted) logger.error('a part of the node failed', { code: codeOf(error), error });
}

/** The policy in force, read once a block: every request asks for it. */
function rootOf(replica: Replica): () => Root {
  let at = replica.head();
  let root = policyInForce(replica.view());
  return () => {
    if (replica.head() !== at) {
      at = replica.head();
      root = policyInForce(replica.view());
    }
    return root;
  };
}

function isMember(replica: Replica, name: string): boolean {
  const orderer = replica.ordering();
  return (
    orderer.engine === 'cometbft' && orderer.members.some((member) => memberName(member) === name)
  );
}

function isListed(root: Root, config: NodeConfig, keys: NodeKeys): boolean {
  try {
    return ownEntry(root, config, keys).name === config.node;
  } catch (error) {
    if (codeOf(error) === 'NODE_CONFIG') return false;
    throw error;
  }
}

/** The node's own entry in the policy, with the keys that it lists. Errors: NODE_CONFIG. */
function ownEntry(root: Root, config: NodeConfig, keys: NodeKeys): NamedNode {
  const self =
    nodesOf(root.policy).find(({ name }) => name === config.node) ??
    fail('NODE_CONFIG', `the policy lists no node ${config.node}`);
  const { node } = self;
  const same = (a: Uint8Array, b: Uint8Array, what: string): void =>
    check(hex(a) === hex(b), 'NODE_CONFIG', `the ${what} key is not the one that the policy lists`);
  same(node.cosigner.bytes, keys.cosigner.publicKey.bytes, 'cosigner');
  same(node.receipt.bytes, keys.receipt.publicKey.bytes, 'receipt');
  same(node.statement.bytes, keys.statement.publicKey.bytes, 'statement');
  same(node.spki, spkiSha256(keys.tls.certificatePem), 'TLS');
  return self;
}

function pinsOf(root: () => Root): (origin: string) => Uint8Array | undefined {
  return (origin) =>
    nodesOf(root().policy).find(({ node }) => new URL(node.url).origin === origin)?.node.spki;
}

// Peers are known by their keys and not rationed: a node that lags asks a lot.
function createNodeServer(
  config: NodeConfig,
  keys: NodeKeys,
  root: () => Root,
  logger: Logger,
): Server {
  const server = createServer({
    tls: keys.tls,
    host: config.listen.host,
    port: config.listen.port,
    status: httpStatus,
    client: (request) => (isPeer(root(), request) ? undefined : clientAddress(request.ip)),
    logger,
    limits: {
      grace: GRACE_MS,
      ...(config.rate !== null && { rate: { perSecond: config.rate, burst: config.rate * 2 } }),
    },
  });
  takeOnlyBytes(server.app);
  return server;
}
