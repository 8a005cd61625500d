/** Metrics of a gateway for Prometheus, on the owner's listener. */
import { createMetrics, METRICS_TYPE } from '../net/metrics.ts';
import type { App } from '../net/server.ts';
import type { Devices } from './devices.ts';
import type { Downlink } from './downlink-port.ts';
import type { Follower } from './follower.ts';
import type { Offers } from './offers.ts';
import type { Releases } from './releases.ts';

export interface MetricParts {
  readonly devices: Devices;
  readonly offers: Offers;
  readonly releases: Releases;
  readonly downlink: Pick<Downlink, 'online'>;
  readonly followers: readonly Follower[];
}

/** `GET /metrics`: read from the database when asked, so that nothing is lost by a restart. */
export function metricRoutes(app: App, parts: MetricParts): void {
  const { devices, offers, releases, downlink, followers } = parts;
  const metrics = createMetrics();
  const gauge = (name: string, help: string, read: () => number): void =>
    metrics.gauge(`firmament_gateway_${name}`, help, read);
  gauge('devices', 'Active devices.', () => devices.active().length);
  gauge(
    'devices_online',
    'Active devices with a session.',
    () => devices.active().filter((id) => downlink.online(id)).length,
  );
  gauge('lines', 'Lines that are followed.', () => linesOf(followers).length);
  gauge(
    'lines_fresh',
    'Lines whose last proof is fresh.',
    () => linesOf(followers).filter((kind) => kind === 'fresh').length,
  );
  gauge('releases', 'Releases that were verified here.', () => releases.images().length);
  gauge(
    'images_stored',
    'Images in the local repository.',
    () => releases.images().filter(({ stored }) => stored).length,
  );
  gauge('offers_open', 'Offers that devices may still act on.', () => offers.allOpen().length);
  for (const state of ['installed', 'rolled-back', 'refused', 'cancelled'] as const)
    gauge(`attempts_${state.replace('-', '_')}`, `Attempts that ended as ${state}, ever.`, () =>
      offers.count(state),
    );
  gauge('memory_bytes', 'Resident memory.', () => process.memoryUsage.rss());
  app.get('/metrics', async (_request, reply) => reply.type(METRICS_TYPE).send(metrics.text()));
}

function linesOf(followers: readonly Follower[]): readonly (string | undefined)[] {
  return followers.flatMap((follower) =>
    follower.lines.map((_, position) => follower.judged(position)?.freshness.kind),
  );
}
