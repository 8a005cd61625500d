/**
 * The committed ledger with what proves its blocks: an orderer's signature, or a certificate of the consortium's
 * validators. What has no proof yet is here and is neither served nor cosigned (T31).
 */
import { equal } from '../bytes.ts';
import { transaction, type Database } from '../database.ts';
import { check, fail } from '../errors.ts';
import { appHash } from '../light/app-hash.ts';
import { appHashOf, decodeCertificate } from '../light/certificate.ts';
import { verifyCommit } from '../light/verify.ts';
import { originOf } from '../log/checkpoint.ts';
import type { Genesis } from '../registry/genesis.ts';
import {
  chainIdOf,
  consortiumOf,
  validatorsOf,
  type ConsortiumOrderer,
  type Orderer,
} from '../registry/orderer.ts';
import type { NamedNode } from '../registry/policy.ts';
import { ordererOf, parsePolicyChange } from '../registry/policy-change.ts';
import { createRoot, type Root } from '../registry/root.ts';
import { getPolicyIndex, policyInForce } from '../registry/state.ts';
import { parseStatement } from '../registry/statement.ts';
import { lastCertified, readCertificate, writeCertificate } from './certificate-tables.ts';
import type { Head } from './close-block.ts';
import { CommittedLedger } from './committed-ledger.ts';
import { encodeServed, isBare } from './consensus-block.ts';

type Listener = (head: Head) => void;

/** What CometBFT's headers say of a head. */
export function appHashOfHead({
  size,
  root,
  epoch,
}: Pick<Head, 'size' | 'root' | 'epoch'>): Uint8Array {
  return appHash({ size, root, stateRoot: epoch.stateRoot });
}

/** That a certificate is of this head. Errors: LEDGER_CERTIFICATE. */
export function checkAppHash(
  signed: Uint8Array,
  head: Pick<Head, 'size' | 'root' | 'epoch'>,
): void {
  check(
    equal(signed, appHashOfHead(head)),
    'LEDGER_CERTIFICATE',
    'the certificate of another head',
  );
}

const MAX_UNCERTIFIED = 64;

export class ProvenLedger extends CommittedLedger {
  readonly genesis: Genesis;
  /** The log's C2SP origin. */
  readonly origin: string;
  readonly #listeners = new Set<Listener>();
  readonly #provenListeners = new Set<Listener>();
  #lastCertificate: number;
  #start: { readonly chain: number; readonly head: Head } | undefined;
  #announced: number;

  constructor(database: Database, genesis: Genesis) {
    super(database);
    this.genesis = genesis;
    this.origin = originOf(genesis.networkId);
    this.#lastCertificate = lastCertified(database);
    this.#announced = this.certified().height;
  }

  /** Who orders by the policy in force. */
  ordering(): Orderer {
    return policyInForce(this.committed).policy.orderer;
  }

  /** The node that the policy in force names to order blocks; undefined when a consortium does. */
  orderer(): NamedNode | undefined {
    return ordererOf(policyInForce(this.committed).policy);
  }

  /** The policy of a version that was in force here, or is. Errors: POLICY_MALFORMED. */
  policyOf(version: number): Root {
    const newest = policyInForce(this.committed);
    if (version === newest.policy.version) return newest;
    if (version === 1) return createRoot(this.genesis.networkId, this.genesis.policy);
    const stored = this.statement(getPolicyIndex(this.committed, version) ?? -1);
    return stored
      ? parsePolicyChange(parseStatement(stored.bytes)).root
      : fail('POLICY_MALFORMED', 'no such policy');
  }

  /** The head upon which a CometBFT chain began: the one whose block brought its policy, or genesis'. */
  chainStart(chain: number): Head {
    if (this.#start?.chain !== chain) {
      const index = chain === 1 ? undefined : getPolicyIndex(this.committed, chain);
      check(chain === 1 || index !== undefined, 'LEDGER_ENGINE', 'no such chain', { chain });
      const head = this.headAt(index === undefined ? 0 : this.heightOf(index));
      this.#start = { chain, head };
    }
    return this.#start.head;
  }

  /** The newest head that may be served and cosigned. Under the local engine: the newest. */
  certified(): Head {
    const orderer = this.ordering();
    if (orderer.engine === 'local') return this.newest;
    const start = this.chainStart(orderer.chain);
    return this.#lastCertificate > start.height ? this.headAt(this.#lastCertificate) : start;
  }

  /** Heads that wait for their certificates, oldest first; 64 at most are given. */
  uncertified(): readonly Head[] {
    const from = this.certified().height + 1;
    const count = Math.min(this.newest.height - from + 1, MAX_UNCERTIFIED);
    return Array.from({ length: Math.max(count, 0) }, (_, i) => this.headAt(from + i));
  }

  /**
   * Keeps the certificate of the oldest head that has none; one that has its own already changes nothing.
   * Errors: COMMIT_*, LEDGER_CERTIFICATE, LEDGER_OUT_OF_ORDER, LEDGER_HEIGHT_UNKNOWN, LEDGER_ENGINE.
   */
  certify(height: number, certificate: Uint8Array): void {
    const next = this.certified().height + 1;
    if (height < next) return;
    const head = this.headAt(height);
    check(height === next, 'LEDGER_OUT_OF_ORDER', 'an older head has no certificate', { next });
    const before = this.policyOf(this.headAt(height - 1).epoch.policyVersion);
    checkAppHash(this.signedAppHash(before, certificate), head);
    transaction(this.database, () => this.keepCertificate(height, certificate));
    this.certifiedTo(height);
  }

  /**
   * The app hash that the validators of the policy in force before a block signed. Errors: COMMIT_*, LEDGER_ENGINE.
   */
  protected signedAppHash(before: Root, certificate: Uint8Array): Uint8Array {
    const orderer = consortiumOf(before.policy.orderer);
    const decoded = decodeCertificate(certificate);
    verifyCommit(decoded, validatorsOf(orderer), chainIdOf(this.genesis.networkId, orderer.chain));
    return appHashOf(decoded);
  }

  /** Inside the caller's transaction; `certifiedTo` follows after it. */
  protected keepCertificate(height: number, certificate: Uint8Array): void {
    writeCertificate(this.database, height, certificate);
  }

  protected certifiedTo(height: number): void {
    this.#lastCertificate = height;
    this.#announce();
  }

  /** A block's certificate; undefined for a local one, or when it is not here yet. */
  certificate(height: number): Uint8Array | undefined {
    return readCertificate(this.database, height);
  }

  /** A block as it is handed on: one of the consortium with its certificate. Errors: LEDGER_HEIGHT_UNKNOWN. */
  served(height: number): Uint8Array {
    const block = this.block(height);
    if (!isBare(block)) return block;
    const certificate = this.certificate(height);
    check(certificate !== undefined, 'LEDGER_HEIGHT_UNKNOWN', 'no certificate yet', { height });
    return encodeServed({ block, certificate });
  }

  /** Proven blocks from a height on, as they are handed on, of together at most `maxBytes` (one at least, if there is one). */
  blocks(from: number, maxBytes: number): readonly Uint8Array[] {
    const blocks: Uint8Array[] = [];
    const end = this.certified().height;
    let total = 0;
    for (let height = Math.max(1, from); height <= end; height++) {
      const bytes = this.served(height);
      total += bytes.length;
      if (blocks.length > 0 && total > maxBytes) break;
      blocks.push(bytes);
    }
    return blocks;
  }

  /** Calls `listener` after each commit, in a microtask. Returns how to stop. */
  onHead(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Calls `listener` whenever `certified()` grew, in a microtask. Returns how to stop. */
  onCertified(listener: Listener): () => void {
    this.#provenListeners.add(listener);
    return () => void this.#provenListeners.delete(listener);
  }

  protected override advance(head: Head): void {
    super.advance(head);
    for (const listener of this.#listeners) queueMicrotask(() => listener(head));
    this.#announce();
  }

  protected override reload(): void {
    super.reload();
    this.#lastCertificate = lastCertified(this.database);
    this.#start = undefined;
  }

  #announce(): void {
    const head = this.certified();
    if (head.height <= this.#announced) return;
    this.#announced = head.height;
    for (const listener of this.#provenListeners) queueMicrotask(() => listener(head));
  }
}

/** The consortium that the policy in force names. Errors: LEDGER_ENGINE. */
export function consortiumInForce(ledger: Pick<ProvenLedger, 'ordering'>): ConsortiumOrderer {
  return consortiumOf(ledger.ordering());
}
