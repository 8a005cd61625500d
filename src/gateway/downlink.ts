/** The gateway's way to its devices, as configured: its own broker or another one. */
import type { Logger } from '../logger.ts';
import type { Authority } from './authority.ts';
import { openEmbeddedBroker, type EmbeddedBroker } from './broker.ts';
import type { GatewayConfig } from './config.ts';
import type { Devices } from './devices.ts';
import { openExternalBroker, type ExternalBroker } from './external-broker.ts';

/** Errors: NET_LISTEN_FAILED, GATEWAY_CONFIG. */
export async function openDownlink(
  { broker, name }: GatewayConfig,
  authority: Authority,
  devices: Devices,
  logger: Logger,
): Promise<EmbeddedBroker | ExternalBroker> {
  if (broker.kind === 'external') return openExternalBroker({ broker, name, devices, logger });
  const { host, port } = broker.listen;
  const { server: tls, rootPem } = authority;
  return openEmbeddedBroker({ host, port, tls, rootPem, devices, logger });
}

/** Where it listens itself; undefined with an external broker. */
export function portOf(downlink: EmbeddedBroker | ExternalBroker): number | undefined {
  return 'port' in downlink ? downlink.port : undefined;
}
