/** The other nodes of the network, as this one calls them: mutual TLS, each pinned by the policy. */
import {
  blocksPath,
  decodeBlocks,
  decodeCosignatures,
  decodeOrdered,
  encodeCosignature,
  MAX_BLOCKS_ANSWER,
  PEER_COSIGNATURES,
  PEER_STATEMENTS,
  PEER_TAKEOVER,
  PEER_TRANSACTIONS,
  type NamedCosignature,
  type OrderedStatement,
} from '../api/peer.ts';
import { MAX_ENGINE_ANSWER, PEER_ENGINE } from '../api/engine-call.ts';
import { COMMIT, decodeCommit, MAX_COMMIT, type Commit } from '../api/commit.ts';
import { decodePolicies, MAX_POLICIES_ANSWER, policiesPath } from '../api/policy.ts';
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

  /** policy.change statements from a version on. Errors: NET_*, CBOR_*. */
  async policies(
    peer: NamedNode,
    from: number,
    signal?: AbortSignal,
  ): Promise<readonly Uint8Array[]> {
    const { body } = await this.#client.request({
      url: peer.node.url + policiesPath(from),
      maxBytes: MAX_POLICIES_ANSWER,
      timeoutMs: 10_000,
      signal: signal ? AbortSignal.any([signal, this.#stop]) : this.#stop,
    });
    return decodePolicies(body);
  }

  /** The newest commit that a peer knows; nothing of it is believed yet. Errors: NET_*, CBOR_*, NODE_NO_COMMIT. */
  async commit(peer: NamedNode, signal: AbortSignal): Promise<Commit> {
    const { body } = await this.#client.request({
      url: peer.node.url + COMMIT,
      maxBytes: MAX_COMMIT,
      timeoutMs: 5_000,
      signal: AbortSignal.any([signal, this.#stop]),
    });
    return decodeCommit(body);
  }

  /** Asks a member's engine what changes nothing: JSON-RPC, as it is answered. Errors: NET_*, NODE_ROLE. */
  async engine(peer: NamedNode, call: Uint8Array): Promise<Uint8Array> {
    const { body } = await this.#client.request({
      method: 'POST',
      url: peer.node.url + PEER_ENGINE,
      headers: { 'content-type': 'application/octet-stream' },
      body: call,
      maxBytes: MAX_ENGINE_ANSWER,
      timeoutMs: 15_000,
      signal: this.#stop,
    });
    return body;
  }

  /** Hands on a group that may not be held back (T11). Errors: NET_*, and what the peer refuses it with. */
  async tellStatements(peer: NamedNode, group: Uint8Array): Promise<void> {
    await this.#tell(peer, PEER_STATEMENTS, group, 10_000);
  }

  /** Asks a peer to follow this node as the orderer that a policy.change appoints (T12). Errors: NET_*, NODE_*. */
  async takeOver(peer: NamedNode, statement: Uint8Array): Promise<void> {
    await this.#tell(peer, PEER_TAKEOVER, statement, 10_000);
  }

  async #tell(peer: NamedNode, path: string, body: Uint8Array, timeoutMs: number): Promise<void> {
    await this.#client.request({
      method: 'POST',
      url: peer.node.url + path,
      headers: CBOR,
      body,
      maxBytes: 4096,
      timeoutMs,
      signal: this.#stop,
    });
  }

  /** Errors: NET_*. */
  async tellCosignature(peer: NamedNode, cosignature: NamedCosignature): Promise<void> {
    await this.#tell(peer, PEER_COSIGNATURES, encodeCosignature(cosignature), 5_000);
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
