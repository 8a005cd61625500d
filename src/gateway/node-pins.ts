/** The TLS key under which a node of the network is known. */
import { nodesOf } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';

/** SHA-256 of its key (SPKI); undefined for a server that is none of the policy's nodes. */
export function pinOf(root: Root, origin: string): Uint8Array | undefined {
  return nodesOf(root.policy).find(({ node }) => new URL(node.url).origin === origin)?.node.spki;
}
