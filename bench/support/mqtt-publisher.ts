/** A client that publishes one message to many topics, as fast as a connection takes them. */
import { connect } from 'node:tls';
import type { FleetMember, FleetPlace } from './fleet-device.ts';
import { CONNACK, connectPacket, packetReader, publishPacket } from './mqtt-bytes.ts';

export interface Publisher {
  publish(topics: readonly string[], payload: string): void;
  close(): void;
}

export async function openPublisher(
  { id, certificatePem: cert, keyPem: key }: FleetMember,
  { port, ca }: FleetPlace,
): Promise<Publisher> {
  const socket = connect({ host: '127.0.0.1', port, ca, cert, key }).setNoDelay(true);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.on('error', reject);
  socket.on(
    'data',
    packetReader(({ type }) => {
      if (type === CONNACK) resolve();
    }),
  );
  socket.write(connectPacket(id));
  await promise;
  return {
    publish(topics, payload) {
      const packets = topics.map((topic, i) => publishPacket(i + 1, topic, payload, true));
      socket.write(Buffer.concat(packets));
    },
    close: () => void socket.destroy(),
  };
}
