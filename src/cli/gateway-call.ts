/** One call of a command to the gateway that runs with a configuration. */
import { join } from 'node:path';
import { text, utf8 } from '../bytes.ts';
import { fail } from '../errors.ts';
import { readGatewayConfig, type GatewayConfig } from '../gateway/config.ts';
import { readToken } from '../gateway/owner-token.ts';
import { readIfThere } from '../ledger/durable-file.ts';
import { certificateSha256 } from '../net/authority.ts';
import { createClient } from '../net/client.ts';
import type { Arguments } from './arguments.ts';

/** The server's certificate must be under the gateway's own root. Errors: GATEWAY_*, NET_*. */
export async function call(
  given: Arguments,
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  body?: unknown,
): Promise<unknown> {
  const config = readGatewayConfig(given.required('config'));
  await using client = createClient({
    pins: { root: certificateSha256(rootOf(config)) },
  });
  const { host, port } = config.api;
  const { body: bytes } = await client.request({
    method,
    url: `https://${host === '0.0.0.0' ? '127.0.0.1' : host}:${port}${path}`,
    headers: {
      authorization: `Bearer ${readToken(config.tokenFile)}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: utf8(JSON.stringify(body)) }),
    maxBytes: 16 << 20,
  });
  return JSON.parse(text(bytes)) as unknown;
}

function rootOf({ data }: GatewayConfig): string {
  const root = readIfThere(join(data, 'authority', 'root.pem'));
  return root ? text(root) : fail('GATEWAY_CONFIG', 'this gateway has not run here yet');
}
