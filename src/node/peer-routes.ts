/** What nodes ask each other: blocks, orders, cosignatures. Callers prove themselves by their TLS key. */
import { equal } from '../bytes.ts';
import {
  decodeCosignature,
  encodeBlocks,
  encodeCosignatures,
  encodeOrdered,
  PEER_BLOCKS,
  PEER_COSIGNATURES,
  PEER_STATEMENTS,
  PEER_TAKEOVER,
  PEER_TRANSACTIONS,
} from '../api/peer.ts';
import {
  decodeEngineCall,
  encodeEngineAnswer,
  MAX_ENGINE_CALL,
  PEER_ENGINE,
} from '../api/engine-call.ts';
import { MAX_REGISTRATION } from '../api/registration.ts';
import type { Clock } from '../clock.ts';
import { check, codeOf } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { App, Request } from '../net/server.ts';
import { peerSpki } from '../net/server.ts';
import { nodesOf } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';
import type { Appointment } from './appointment.ts';
import type { Heads } from './heads.ts';
import { parseGroup } from './submission.ts';
import type { UrgentStatements } from './urgent-statements.ts';

export interface PeerParts {
  readonly ledger: Ledger;
  readonly heads: Heads;
  readonly root: () => Root;
  /** Whether this node takes what others hand on: it orders, or runs the consortium's engine. */
  readonly takes: () => boolean;
  /** Asks this node's engine what changes nothing. */
  readonly rpc: (method: string, params: Readonly<Record<string, string>>) => Promise<unknown>;
  readonly urgent: UrgentStatements;
  readonly appointment: Appointment;
  readonly clock: Clock;
  /** Ends what waits when the node stops. */
  readonly stop: AbortSignal;
}

const MAX_WAIT_MS = 25_000;

/** Whether the caller holds the TLS key of one of the policy's nodes. */
export function isPeer(root: Root, request: Request): boolean {
  const spki = peerSpki(request);
  return spki !== undefined && nodesOf(root.policy).some(({ node }) => equal(node.spki, spki));
}

export function peerRoutes(app: App, parts: PeerParts): void {
  const onlyPeers = async (request: Request): Promise<void> => {
    check(isPeer(parts.root(), request), 'NODE_PEER_UNKNOWN');
  };
  const options = { onRequest: onlyPeers };
  app.post(
    PEER_TRANSACTIONS,
    { ...options, bodyLimit: MAX_REGISTRATION },
    async (request, reply) => {
      check(parts.takes(), 'NODE_ROLE', 'this node does not order');
      const placements = await parts.ledger.submit(parseGroup(request.body as Uint8Array));
      return reply.type('application/cbor').send(encodeOrdered(placements));
    },
  );
  app.get<{ Querystring: { from?: string; wait?: string } }>(
    PEER_BLOCKS,
    options,
    async (request, reply) => {
      const from = wholeNumber(request.query.from, 1);
      const wait = Math.min(wholeNumber(request.query.wait, 0), MAX_WAIT_MS);
      const over = new AbortController();
      const end = (): void => over.abort();
      reply.raw.once('close', end);
      parts.stop.addEventListener('abort', end);
      // A caller that left, or a node that stops, has no use for an error.
      const blocks = await parts.ledger
        .blocks(from, parts.stop.aborted ? 0 : wait, over.signal)
        .catch((error: unknown) => (over.signal.aborted ? [] : Promise.reject(error as Error)))
        .finally(() => parts.stop.removeEventListener('abort', end));
      return reply.type('application/cbor').send(encodeBlocks(blocks));
    },
  );
  app.post(PEER_STATEMENTS, { ...options, bodyLimit: MAX_REGISTRATION }, async (request, reply) => {
    parts.urgent.keep(parseGroup(request.body as Uint8Array), parts.clock());
    return reply.code(204).send();
  });
  app.post(PEER_TAKEOVER, { ...options, bodyLimit: MAX_REGISTRATION }, async (request, reply) => {
    parts.appointment.promise(request.body as Uint8Array, peerSpki(request) ?? new Uint8Array());
    return reply.code(204).send();
  });
  app.post(PEER_ENGINE, { ...options, bodyLimit: MAX_ENGINE_CALL }, async (request, reply) => {
    const { id, method, params } = decodeEngineCall(request.body as Uint8Array);
    const answer = await parts.rpc(method, params).then(
      (result) => ({ result }),
      (error: unknown) => {
        if (codeOf(error) !== 'ENGINE_RPC') throw error;
        return { error: (error as Error).message };
      },
    );
    return reply.type('application/json').send(encodeEngineAnswer(id, answer));
  });
  app.post(PEER_COSIGNATURES, options, async (request, reply) => {
    parts.heads.add(decodeCosignature(request.body as Uint8Array));
    return reply.code(204).send();
  });
  app.get(PEER_COSIGNATURES, options, async (_request, reply) =>
    reply.type('application/cbor').send(encodeCosignatures(parts.heads.all())),
  );
}

function wholeNumber(value: string | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  check(/^\d{1,15}$/.test(value), 'API_QUERY_INVALID');
  return Number(value);
}
