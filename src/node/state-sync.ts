/**
 * Whether a member without blocks begins with a snapshot of the others, and what its light client believes then: a header
 * that the validators of the newest policy signed, which operators approved (T08, T15).
 */
import type { Clock } from '../clock.ts';
import { codeOf, fail } from '../errors.ts';
import type { StateSync } from '../ledger/cometbft/engine-config.ts';
import type { Replica } from '../ledger/replica.ts';
import { decodeCertificate, heightOf, timeOf, type Certificate } from '../light/certificate.ts';
import { headerHash } from '../light/header.ts';
import { verifyCommit } from '../light/verify.ts';
import type { Logger } from '../logger.ts';
import { chainIdOf, validatorsOf } from '../registry/orderer.ts';
import type { NamedNode } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';
import { policyInForce } from '../registry/state.ts';
import { advanceRoot } from '../trust/root-chain.ts';
import { engineProxies, type EngineProxies } from './engine-proxy.ts';
import type { Peers } from './peers.ts';

export interface StateSyncParts {
  readonly replica: Replica;
  readonly peers: Pick<Peers, 'commit' | 'policies' | 'engine'>;
  readonly members: readonly NamedNode[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** Our blocks between two snapshots: with fewer there may be none. */
  readonly every: number;
}

export interface Joining extends AsyncDisposable {
  readonly stateSync: StateSync;
}

/** Seconds for which a header is believed; shorter than evidence against its voters is taken. */
const TRUST_PERIOD = 86_400;
/** CometBFT asks for two sources at least. */
const SOURCES = 2;
const MAX_SOURCES = 8;

interface Newest {
  readonly certificate: Certificate;
  readonly height: number;
}

/** Undefined when this node has blocks of the chain, or the others have too few for a snapshot, or too few answer. */
export async function joining(
  parts: StateSyncParts,
  signal: AbortSignal,
): Promise<Joining | undefined> {
  const { replica, peers, members, clock, logger, every } = parts;
  const { orderer } = policyInForce(replica.view()).policy;
  if (orderer.engine !== 'cometbft') return undefined;
  const { height } = replica.head();
  if (height !== replica.chainStart(orderer.chain).height) return undefined;
  const answered: NamedNode[] = [];
  let newest: Newest | undefined;
  const root = await newestRoot(parts, signal);
  for (const member of members) {
    try {
      const { certificate: bytes, head } = await peers.commit(member, signal);
      const certificate = decodeCertificate(bytes);
      verifyAs(root, certificate);
      answered.push(member);
      if (!newest || heightOf(certificate) > heightOf(newest.certificate))
        newest = { certificate, height: head.height };
    } catch (error) {
      signal.throwIfAborted();
      if (!codeOf(error)) throw error;
      logger.debug('a member showed no commit', { peer: member.name, code: codeOf(error) });
    }
  }
  if (!newest || answered.length < SOURCES || newest.height < height + every) return undefined;
  if (timeOf(newest.certificate) < clock() - TRUST_PERIOD) return undefined;
  const proxies = await engineProxies(peers, answered.slice(0, MAX_SOURCES), logger);
  return beginning(newest.certificate, proxies);
}

function beginning(certificate: Certificate, proxies: EngineProxies): Joining {
  return {
    stateSync: {
      servers: proxies.urls,
      trustHeight: heightOf(certificate),
      trustHash: headerHash(certificate.header),
      trustPeriod: TRUST_PERIOD,
    },
    [Symbol.asyncDispose]: () => proxies[Symbol.asyncDispose](),
  };
}

function verifyAs({ networkId, policy }: Root, certificate: Certificate): void {
  const { orderer } = policy;
  if (orderer.engine !== 'cometbft') return fail('LEDGER_ENGINE');
  verifyCommit(certificate, validatorsOf(orderer), chainIdOf(networkId, orderer.chain));
}

// Whoever voted when this node's own ledger ends may be nobody any more.
async function newestRoot(
  { replica, peers, members, logger }: StateSyncParts,
  signal: AbortSignal,
): Promise<Root> {
  let root = policyInForce(replica.view());
  for (const member of members) {
    try {
      for (;;) {
        const changes = await peers.policies(member, root.policy.version + 1, signal);
        if (changes.length === 0) break;
        root = advanceRoot(root, changes);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!codeOf(error)) throw error;
      logger.debug('a member showed no policies', { peer: member.name, code: codeOf(error) });
    }
  }
  return root;
}
