/**
 * What a node says of its own work: metrics, and a line in the log for a request. Both name the route, never the path
 * that was asked for, and nothing that a caller sent: devices' names stay where they are (docs/spec/operation.md).
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { check } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { clientAddress } from '../net/limits.ts';
import { createMetrics, METRICS_TYPE, type Metrics } from '../net/metrics.ts';
import { refusalOf, type App, type Reply, type Request } from '../net/server.ts';
import type { RequestLog } from './config.ts';
import type { EngineHealth } from './consortium.ts';
import type { Health } from './general-routes.ts';

export interface ObservationParts {
  readonly health: () => Health;
  readonly orders: () => boolean;
  /** POSIX seconds at which the orderer was heard last. */
  readonly heardAt: () => number;
  /** Registrations that are under way here. */
  readonly registrations: () => number;
  readonly logger: Logger;
  readonly requestLog: RequestLog;
  /** Who may read the metrics besides this machine. */
  readonly mayRead: (request: Request) => boolean;
}

export const METRICS = '/metrics';
const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];
/** Lines about requests a second at most: who is refused must not fill the disk. */
const MAX_LINES = 50;

export interface Observation extends Disposable {
  /** Every route that was added after this, as `GET /v1/root`. */
  readonly routes: readonly string[];
}

/** Counts and logs every request of the app, and serves `/metrics`. Dispose of it to stop measuring. */
export function observe(app: App, parts: ObservationParts): Observation {
  const metrics = createMetrics();
  const routes: string[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) if (each !== 'HEAD') routes.push(`${each} ${url}`);
  });
  const answered = metrics.counter('firmament_http_requests_total', 'Requests answered.', [
    'method',
    'route',
    'status',
    'code',
  ]);
  const seconds = metrics.histogram(
    'firmament_http_request_seconds',
    'Time from the request to the end of its answer.',
    SECONDS,
    ['method', 'route'],
  );
  let underWay = 0;
  metrics.gauge('firmament_http_requests_under_way', 'Requests not answered yet.', () => underWay);
  ledgerGauges(metrics, parts);
  const log = requestLogger(parts.logger, parts.requestLog);
  app.addHook('onRequest', (_request, reply, next) => {
    underWay += 1;
    // Also for a caller that hangs up, which no answer reaches.
    reply.raw.once('close', () => (underWay -= 1));
    next();
  });
  app.addHook('onResponse', (request, reply, next) => {
    const route = request.routeOptions.url ?? 'none';
    const code = refusalOf(reply) ?? '';
    answered.add([request.method, route, `${reply.statusCode}`, code]);
    // A follower's question for the next block takes as long as there is none.
    seconds.observe(reply.elapsedTime / 1000, [request.method, route]);
    log(request, reply, route, code);
    next();
  });
  app.get(METRICS, async (request, reply) => {
    check(isLocal(request) || parts.mayRead(request), 'NET_NOT_FOUND');
    return reply.header('cache-control', 'no-store').type(METRICS_TYPE).send(metrics.text());
  });
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  metrics.gauge(
    'nodejs_eventloop_delay_p99_seconds',
    '99th percentile since the last reading.',
    () => {
      const p99 = delay.percentile(99) / 1e9;
      delay.reset();
      return p99;
    },
  );
  return { routes, [Symbol.dispose]: () => delay.disable() };
}

function ledgerGauges(metrics: Metrics, parts: ObservationParts): void {
  const { health } = parts;
  metrics.gauge(
    'firmament_ledger_height',
    'Height of the newest block here.',
    () => health().height,
  );
  metrics.gauge('firmament_log_size', 'Entries of the log here.', () => health().size);
  metrics.gauge(
    'firmament_quorum_size',
    'Entries of the newest head that k operators cosigned.',
    () => health().quorum?.size,
  );
  metrics.gauge(
    'firmament_quorum_time_seconds',
    'POSIX time of the oldest of its cosignatures.',
    () => health().quorum?.time,
  );
  metrics.gauge(
    'firmament_orderer_heard_seconds',
    'POSIX time of the last word of the orderer.',
    parts.heardAt,
  );
  metrics.gauge('firmament_orders', '1 when this node orders.', () => (parts.orders() ? 1 : 0));
  metrics.gauge('firmament_halted', '1 when this node follows no longer.', () =>
    health().halted ? 1 : 0,
  );
  metrics.gauge('firmament_frozen', '1 when this node signs no heads (T11).', () =>
    health().frozen ? 1 : 0,
  );
  engineGauges(metrics, () => health().engine);
  metrics.gauge(
    'firmament_registrations_under_way',
    'Registrations not answered yet.',
    parts.registrations,
  );
  metrics.gauge('process_resident_memory_bytes', 'Resident memory.', () =>
    process.memoryUsage.rss(),
  );
  metrics.gauge('process_cpu_seconds_total', 'User and system time.', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
}

function engineGauges(metrics: Metrics, engine: () => EngineHealth | undefined): void {
  metrics.gauge(
    'firmament_engine_height',
    "Height of the consortium engine's newest block here.",
    () => engine()?.height,
  );
  metrics.gauge('firmament_engine_ready', '1 when the engine has every block of its peers.', () => {
    const ready = engine()?.ready;
    return ready === undefined ? undefined : Number(ready);
  });
  metrics.gauge(
    'firmament_engine_restarts',
    'How often engine and application were started anew.',
    () => engine()?.restarts,
  );
  metrics.gauge(
    'firmament_engine_proposals_refused',
    'Blocks of other members that were refused before they were voted for.',
    () => engine()?.proposalsRefused,
  );
  metrics.gauge('firmament_engine_fault', '1 when something is wrong with the engine.', () => {
    const state = engine();
    return state && (state.fault === undefined ? 0 : 1);
  });
}

function isLocal(request: Request): boolean {
  const address = clientAddress(request.ip);
  return address.startsWith('127.') || request.ip === '::1';
}

function requestLogger(
  logger: Logger,
  which: RequestLog,
): (request: Request, reply: Reply, route: string, code: string) => void {
  let second = 0;
  let lines = 0;
  return (request, reply, route, code) => {
    if (which === 'none' || (which === 'refused' && code === '')) return;
    const now = Math.floor(performance.now() / 1000);
    if (now !== second) {
      if (lines > MAX_LINES) logger.info('requests not logged', { count: lines - MAX_LINES });
      second = now;
      lines = 0;
    }
    lines += 1;
    if (lines > MAX_LINES) return;
    logger.info('request', {
      method: request.method,
      route,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      ...(code !== '' && { code }),
    });
  };
}
