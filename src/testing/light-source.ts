/** What a light client asks of a member's engine, over plain HTTP on this machine: for state sync in tests. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { fromHex } from '../bytes.ts';
import type { CometLedger } from '../ledger/cometbft/comet-ledger.ts';
import type { StateSync } from '../ledger/cometbft/engine-config.ts';

export interface LightSource extends AsyncDisposable {
  readonly url: string;
}

/** Listens until it is disposed of. */
export async function lightSource(ledger: CometLedger): Promise<LightSource> {
  const answered = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { id, method, params } = JSON.parse(await text(request)) as {
      readonly id: unknown;
      readonly method: string;
      readonly params: Record<string, string>;
    };
    const answer = await ledger.rpc(method, params).then(
      (result) => ({ result }),
      (error: unknown) => ({ error: { code: -1, message: String(error) } }),
    );
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
  };
  const server = createServer((request, response) => void answered(request, response));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** State sync from these sources, with the first header of this ledger's engine as what is trusted. */
export async function stateSyncFrom(
  ledger: CometLedger,
  sources: readonly [LightSource, LightSource],
): Promise<StateSync> {
  const { signed_header: header } = (await ledger.rpc('commit', { height: '1' })) as {
    readonly signed_header: { readonly commit: { readonly block_id: { readonly hash: string } } };
  };
  return {
    servers: sources.map(({ url }) => url),
    trustHeight: 1,
    trustHash: fromHex(header.commit.block_id.hash.toLowerCase()),
    trustPeriod: 3600,
  };
}
