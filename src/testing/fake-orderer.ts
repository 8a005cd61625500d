/** In the place of a network's orderer, with its keys: blocks of the test's own making. */
import { decodeGroup } from '../api/registration.ts';
import {
  encodeBlocks,
  encodeCosignatures,
  encodeOrdered,
  PEER_BLOCKS,
  PEER_COSIGNATURES,
  PEER_TRANSACTIONS,
} from '../api/peer.ts';
import { httpStatus } from '../api/status.ts';
import { openDatabase } from '../database.ts';
import { fail } from '../errors.ts';
import { openReplica, type Replica } from '../ledger/replica.ts';
import { createServer } from '../net/server.ts';
import { openBlock, signBlock, type Block } from '../registry/block.ts';
import type { Kind } from '../registry/claims.ts';
import { parseStatement } from '../registry/statement.ts';
import type { TestNetwork } from './network.ts';

export interface FakeOrderer extends AsyncDisposable {
  readonly replica: Replica;
  /** From now on every block that is served is changed so, and signed again. */
  lie(change: (block: Block) => Partial<Block>): void;
  /** From now on statements of this kind are never ordered. */
  withhold(kind: Kind): void;
  /** From now on its clock is so many seconds ahead of the network's. */
  shift(seconds: number): void;
}

/** Orders what it is sent, truly, until it is told to lie. Cosigns nothing. */
export async function startFakeOrderer(network: TestNetwork): Promise<FakeOrderer> {
  await using cleanup = new AsyncDisposableStack();
  const { tls, statement } = network.keys(network.orderer);
  const { host, port } = network.config(network.orderer).listen;
  const database = cleanup.use(openDatabase(':memory:'));
  const replica = openReplica(database, network.genesis);
  let withheld: Kind | undefined;
  let ahead = 0;
  let change: ((block: Block) => Partial<Block>) | undefined;
  const served = (bytes: Uint8Array): Uint8Array => {
    if (!change) return bytes;
    const block = openBlock(bytes, statement.publicKey, network.orderer, replica.origin);
    return signBlock(statement, network.orderer, replica.origin, { ...block, ...change(block) });
  };
  const server = cleanup.use(
    createServer({ tls, host, port, status: httpStatus, limits: { grace: 100 } }),
  );
  const { app } = server;
  app.post(PEER_TRANSACTIONS, async (request, reply) => {
    const group = decodeGroup(request.body as Uint8Array).map((raw) => ({
      statement: parseStatement(raw.statement),
      attachment: raw.attachment,
    }));
    if (group.some(({ statement: { kind } }) => kind === withheld)) fail('LEDGER_BUSY');
    const { outcomes } = replica.propose([group], network.clock() + ahead, statement);
    const [outcome] = outcomes;
    if (!outcome || 'refused' in outcome) throw outcome?.refused ?? new Error('no outcome');
    return reply.type('application/cbor').send(encodeOrdered(outcome.placements));
  });
  app.get<{ Querystring: { from: string } }>(PEER_BLOCKS, async (request, reply) => {
    const from = Number(request.query.from);
    const blocks = replica.blocks(from, 1 << 20).map(served);
    if (blocks.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    return reply.type('application/cbor').send(encodeBlocks(blocks));
  });
  app.post(PEER_COSIGNATURES, async (_request, reply) => reply.code(204).send());
  app.get(PEER_COSIGNATURES, async (_request, reply) =>
    reply.type('application/cbor').send(encodeCosignatures([])),
  );
  await server.listen();
  const owned = cleanup.move();
  return {
    replica,
    withhold(kind) {
      withheld = kind;
    },
    shift(seconds) {
      ahead = seconds;
    },
    lie(how) {
      change = how;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
