/** The other nodes of the network, as this one calls them: mutual TLS, each pinned by the policy. */
import {
  blocksPath,
  decodeBlocks,
  decodeCosignatures,
  decodeOrdered,
  encodeCosignature,
  MAX_BLOCKS_ANSWER,
  PEER_COSIGNATURES,
  PEER_TRANSACTIONS,
  type NamedCosignature,
  type OrderedStatement,
} from '../api/peer.ts';
import type { Client } from '../net/client.ts';
import { nodesOf, type NamedNode } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';

const CBOR = { 'content-type': 'application/cbor' };

export class Peers {
  readonly #client: Client;
  readonly #root: () => Root;
  readonly #self: string;
  readonly #stop: AbortSignal;

  /** `self` is this node's OPERATOR/NODE; what is under way ends when `stop` is aborted. */
  constructor(client: Client, root: () => Root, self: string, stop: AbortSignal) {
    this.#client = client;
    this.#root = root;
    this.#self = self;
    this.#stop = stop;
  }

  get client(): Client {
    return this.#client;
  }

  others(): readonly NamedNode[] {
    return nodesOf(this.#root().policy).filter(({ name }) => name !== this.#self);
  }

  /** Errors: NET_*, CBOR_*, and what the orderer refused with. */
  async order(
    orderer: NamedNode,
    group: Uint8Array,
    timeoutMs: number,
  ): Promise<readonly OrderedStatement[]> {
    const { body } = await this.#client.request({
      method: 'POST',
      url: orderer.node.url + PEER_TRANSACTIONS,
      headers: CBOR,
      body: group,
      maxBytes: 4096,
      timeoutMs,
      signal: this.#stop,
    });
    return decodeOrdered(body);
  }

  /** Errors: NET_*, CBOR_*. */
  async blocks(
    peer: NamedNode,
    from: number,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[]> {
    const { body } = await this.#client.request({
      method: 'GET',
      url: peer.node.url + blocksPath(from, waitMs),
      maxBytes: MAX_BLOCKS_ANSWER,
      timeoutMs: waitMs + 10_000,
      signal: AbortSignal.any([signal, this.#stop]),
    });
    return decodeBlocks(body);
  }

  /** Errors: NET_*. */
  async tellCosignature(peer: NamedNode, cosignature: NamedCosignature): Promise<void> {
    await this.#client.request({
      method: 'POST',
      url: peer.node.url + PEER_COSIGNATURES,
      headers: CBOR,
      body: encodeCosignature(cosignature),
      maxBytes: 4096,
      timeoutMs: 5_000,
      signal: this.#stop,
    });
  }

  /** Errors: NET_*, CBOR_*. */
  async cosignatures(peer: NamedNode): Promise<readonly NamedCosignature[]> {
    const { body } = await this.#client.request({
      method: 'GET',
      url: peer.node.url + PEER_COSIGNATURES,
      maxBytes: 1 << 20,
      timeoutMs: 5_000,
      signal: this.#stop,
    });
    return decodeCosignatures(body);
  }
}
