/** What one device's connection may cost: bytes of a packet, bytes that wait for it. */
import type { TLSSocket } from 'node:tls';
import { MAX_PACKET } from '../api/downlink.ts';
import { PacketGuard } from './packet-guard.ts';

/** A CONNECT has a client id and perhaps a will. */
const MAX_CONNECT = 8192;

/** The broker reads whole chunks: each is measured before its parser sees it, and a packet too large ends the connection. */
export function guardSizes(socket: TLSSocket): void {
  const guard = new PacketGuard({ connect: MAX_CONNECT, packet: MAX_PACKET });
  const read = socket.read.bind(socket);
  socket.read = (size?: number): unknown => {
    const chunk = read(size) as Uint8Array | null;
    try {
      if (chunk) guard.take(chunk);
      return chunk;
    } catch (error) {
      socket.destroy(error as Error);
      return null;
    }
  };
}

/**
 * Waiting for one device's socket would keep every other's messages back: nothing waits, and a device that lets more than
 * `backlog` bytes lie is cut off.
 */
export function guardBacklog(socket: TLSSocket, backlog: number): void {
  const write = socket.write.bind(socket) as (...given: unknown[]) => boolean;
  socket.write = (...given: unknown[]): boolean => {
    write(...given);
    if (socket.writableLength > backlog) socket.destroy();
    return true;
  };
}
