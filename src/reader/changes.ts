/** Listens to one node's stream of changes (docs/spec/transactions.md), which is believed in nothing. */
import { CHANGES, CHANGES_MEDIA, changeReader, type Change } from '../api/changes.ts';
import { check } from '../errors.ts';
import { createClient, type Client, type ClientOptions } from '../net/client.ts';

// A node that says little is still well: every ten seconds it gives a sign of life.
const IDLE_MS = 30_000;
// What an honest stream may bring: events are half a second apart and mostly small.
const BURST = 262_144;
const BYTES_PER_SECOND = 16_384;
// Many small pieces are as much work as few large ones.
const LEAST_PART = 64;

/** For streams only: an answer that goes on for days is no slow one. Errors: NET_CERTIFICATE_INVALID. */
export function createStreamClient(pins: ClientOptions['pins'], idle = IDLE_MS): Client {
  return createClient({ pins, timeouts: { idle, bytesPerSecond: 0 } });
}

/**
 * The changes from a head on, as they come, until the node ends it. Errors: NET_* (NET_TIMEOUT when it gives no sign of life),
 * NODE_*, API_STREAM_MALFORMED.
 */
export async function* listenTo(
  client: Client,
  url: string,
  { since, signal }: { readonly since?: number | undefined; readonly signal: AbortSignal },
): AsyncGenerator<Change, void, undefined> {
  const read = changeReader();
  await using answer = await client.stream({
    url: url + CHANGES,
    headers: {
      accept: CHANGES_MEDIA,
      ...(since !== undefined && { 'last-event-id': String(since) }),
    },
    maxBytes: Number.MAX_SAFE_INTEGER,
    signal,
  });
  let credit = BURST;
  let at = performance.now();
  for await (const part of answer.body) {
    const now = performance.now();
    credit = Math.min(BURST, credit + ((now - at) / 1000) * BYTES_PER_SECOND);
    credit -= Math.max(part.length, LEAST_PART);
    at = now;
    check(credit >= 0, 'API_STREAM_MALFORMED', 'a flood');
    yield* read(part);
  }
}
