/** Loopback ports that nobody listens on: URLs of a network are in its genesis, before any node runs. */
import { createServer, type AddressInfo } from 'node:net';

/**
 * So many different free ports of 127.0.0.1. They are free when this returns and may be taken a moment
 * later by somebody else: start what needs them soon.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const server = createServer().once('error', reject).listen(0, '127.0.0.1', resolve);
      await promise;
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(
    servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
  );
  return ports;
}
