/**
 * `GET /v1/changes`: new quorum heads with the lines that changed, pushed as they come. So many listeners at most, and
 * none that reads more slowly than it is told.
 */
import { Readable } from 'node:stream';
import {
  CHANGES,
  CHANGES_MEDIA,
  decodeLastSize,
  encodeChange,
  HEARTBEAT,
  HEARTBEAT_MS,
} from '../api/changes.ts';
import { clientAddress } from '../net/limits.ts';
import { sendProblem, type App } from '../net/server.ts';
import type { Changes } from './changes.ts';

export interface StreamLimits {
  readonly listeners: number;
  /** Of one address. */
  readonly perClient: number;
  /** Bytes that wait for a listener; more, and it is cut off. */
  readonly backlog: number;
  /** Milliseconds. */
  readonly heartbeat: number;
  /** Milliseconds between two events at least: what changes meanwhile goes into the second. */
  readonly pause: number;
}

export const STREAM_LIMITS: StreamLimits = {
  listeners: 256,
  perClient: 16,
  backlog: 65_536,
  heartbeat: HEARTBEAT_MS,
  pause: 500,
};
const RETRY_AFTER = 30;

export interface StreamParts {
  readonly changes: Pick<Changes, 'since' | 'onChange'>;
  readonly stop: AbortSignal;
}

interface Listener {
  readonly stream: Readable;
  /** Size of the head that it was told of last. */
  told: number | undefined;
}

export function streamRoute(
  app: App,
  { changes, stop }: StreamParts,
  limits: StreamLimits = STREAM_LIMITS,
): void {
  const listeners = new Set<Listener>();
  const perClient = new Map<string, number>();
  let resting: NodeJS.Timeout | undefined;

  const push = (listener: Listener, words: string): void => {
    listener.stream.push(words);
    if (listener.stream.readableLength > limits.backlog) listener.stream.destroy();
  };
  const tell = (listener: Listener): void => {
    const change = changes.since(listener.told);
    if (!change) return;
    listener.told = change.size;
    push(listener, encodeChange(change));
  };
  const tellAll = (): void => {
    if (resting) return;
    for (const listener of listeners) tell(listener);
    resting = setTimeout(() => {
      resting = undefined;
      for (const listener of listeners) tell(listener);
    }, limits.pause).unref();
  };
  changes.onChange(tellAll);
  const beat = setInterval(() => {
    for (const listener of listeners) push(listener, HEARTBEAT);
  }, limits.heartbeat).unref();
  stop.addEventListener('abort', () => {
    clearInterval(beat);
    clearTimeout(resting);
    for (const { stream } of listeners) stream.push(null);
  });

  app.get(CHANGES, (request, reply) => {
    const told = decodeLastSize(request.headers['last-event-id']);
    const client = clientAddress(request.ip);
    const own = perClient.get(client) ?? 0;
    if (stop.aborted || listeners.size >= limits.listeners || own >= limits.perClient)
      return sendProblem(reply.header('retry-after', RETRY_AFTER), 503, 'NODE_OVERLOADED');
    const stream = new Readable({ read: () => undefined });
    stream.on('error', () => undefined);
    const listener: Listener = { stream, told };
    listeners.add(listener);
    perClient.set(client, own + 1);
    stream.once('close', () => {
      listeners.delete(listener);
      const left = (perClient.get(client) ?? 1) - 1;
      if (left > 0) perClient.set(client, left);
      else perClient.delete(client);
      if (!stream.readableEnded) reply.raw.destroy();
    });
    reply.raw.once('close', () => stream.destroy());
    // Headers go with the first byte.
    push(listener, HEARTBEAT);
    tell(listener);
    return reply
      .header('cache-control', 'no-store')
      .header('x-accel-buffering', 'no')
      .type(CHANGES_MEDIA)
      .send(stream);
  });
}
