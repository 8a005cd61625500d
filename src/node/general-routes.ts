/** What every node tells everybody: root, genesis, checkpoint and tiles of the log, health. */
import type { Genesis } from '../registry/genesis.ts';
import type { Root } from '../registry/root.ts';
import { COMMIT, encodeCommit } from '../api/commit.ts';
import { encodePolicies, POLICIES } from '../api/policy.ts';
import { OPENAPI, openapi } from '../api/openapi.ts';
import { check } from '../errors.ts';
import { formatCheckpoint } from '../log/checkpoint.ts';
import { formatCosignatureLine } from '../log/cosignature.ts';
import { bundleBytes, parseTilePath, TILE_WIDTH, tileBytes, tileWidth } from '../log/tiles.ts';
import type { Replica } from '../ledger/replica.ts';
import type { App } from '../net/server.ts';
import { cosignersOf } from '../trust/quorum.ts';
import type { Consortium, EngineHealth } from './consortium.ts';
import type { Frozen } from './freeze.ts';
import type { Heads } from './heads.ts';
import { policiesFrom } from './policy-chain.ts';
import { hex } from '../bytes.ts';

export interface GeneralParts {
  readonly name: string;
  readonly roles: readonly string[];
  readonly genesis: Genesis;
  readonly root: () => Root;
  readonly replica: Replica;
  readonly heads: Heads;
  /** Why this node signs no heads just now (T11). */
  readonly frozen: () => Frozen | undefined;
  readonly consortium: Pick<Consortium, 'health' | 'commit'>;
}

export interface Health {
  /** `fault`: of the engine; what is on the ledger is served on. */
  readonly status: 'ok' | 'starting' | 'fault' | 'halted';
  readonly mode: string;
  readonly node: string;
  readonly roles: readonly string[];
  readonly height: number;
  readonly size: number;
  readonly quorum: {
    readonly size: number;
    readonly time: number;
    readonly operators: readonly string[];
  } | null;
  readonly halted?: { readonly code: string; readonly height: number };
  readonly frozen?: Frozen;
  /** Under the consortium engine. */
  readonly engine?: EngineHealth;
}

export function generalRoutes(app: App, parts: GeneralParts): void {
  app.get('/v1/root', async (_request, reply) =>
    reply.type('application/cbor').send(parts.root().bytes),
  );
  app.get('/v1/genesis', async (_request, reply) =>
    reply.type('application/cbor').send(parts.genesis.bytes),
  );
  app.get<{ Querystring: { from?: string } }>(POLICIES, async (request, reply) => {
    const { from = '2' } = request.query;
    check(/^\d{1,15}$/.test(from), 'API_QUERY_INVALID');
    const body = encodePolicies(policiesFrom(parts.replica, Number(from)));
    return reply.header('cache-control', 'no-cache').type('application/cbor').send(body);
  });
  app.get(OPENAPI, async (_request, reply) => reply.send(openapi()));
  app.get('/healthz', async (_request, reply) => {
    const health = healthOf(parts);
    return reply
      .code(health.status === 'ok' ? 200 : 503)
      .header('cache-control', 'no-store')
      .send(health);
  });
  app.get(COMMIT, async (_request, reply) =>
    reply
      .header('cache-control', 'no-store')
      .type('application/cbor')
      .send(encodeCommit(parts.consortium.commit())),
  );
  app.get('/checkpoint', async (_request, reply) =>
    reply
      .header('cache-control', 'no-store')
      .type('text/plain; charset=utf-8')
      .send(signedCheckpoint(parts)),
  );
  app.get<{ Params: { '*': string } }>('/tile/*', async (request, reply) => {
    const { level, index, width } = parseTilePath(`tile/${request.params['*']}`);
    const { size } = parts.heads.quorum().head;
    check(width <= tileWidth(level, index, size), 'NET_NOT_FOUND', 'the log has no such tile yet');
    const bytes =
      level === 'entries'
        ? bundleBytes(
            Array.from({ length: width }, (_, i) => parts.replica.entry(index * TILE_WIDTH + i)),
          )
        : tileBytes(parts.replica.logNodes(), level, index, width);
    return reply
      .header('cache-control', 'public, max-age=31536000, immutable')
      .type('application/octet-stream')
      .send(bytes);
  });
}

export function healthOf(parts: GeneralParts): Health {
  const { name, roles, root, replica, heads, frozen, consortium } = parts;
  const freeze = frozen();
  const engine = consortium.health();
  const halt = replica.halted();
  const quorum = heads.hasQuorum() ? heads.quorum() : undefined;
  const { height, size } = replica.head();
  return {
    status: halt ? 'halted' : engine?.fault !== undefined ? 'fault' : quorum ? 'ok' : 'starting',
    mode: root().policy.mode,
    node: name,
    roles,
    height,
    size,
    quorum: quorum
      ? { size: quorum.head.size, time: quorum.time, operators: quorum.operators }
      : null,
    ...(halt && { halted: { code: halt.code, height: halt.height } }),
    ...(freeze && { frozen: freeze }),
    ...(engine && { engine }),
  };
}

// c2sp.org/tlog-checkpoint with the cosignatures of k operators.
function signedCheckpoint({ root, replica, heads }: GeneralParts): string {
  const { head, cosignatures } = heads.quorum();
  const cosigners = cosignersOf(root());
  // Those of operators that have left since then are nobody's any more.
  const lines = cosignatures.flatMap((cosignature) => {
    const signer = cosigners.get(hex(cosignature.keyId));
    return signer ? [formatCosignatureLine(signer.name, cosignature)] : [];
  });
  check(lines.length > 0, 'NODE_NO_QUORUM');
  return `${formatCheckpoint({ origin: replica.origin, size: head.size, root: head.root })}\n${lines.join('')}`;
}
