/**
 * The engine on a node, whatever part it has in it: it orders, follows, takes over from an orderer that is gone, or takes
 * part in a consortium, and changes when the policy in force does (T12).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { check, codeOf, fail } from '../errors.ts';
import { createFollowingLedger, recover } from '../ledger/follow.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { createLocalLedger } from '../ledger/local.ts';
import { replicaSource } from '../ledger/replica-source.ts';
import type { Replica } from '../ledger/replica.ts';
import { followPolicy, type Neighbour } from '../ledger/rival-history.ts';
import type { Logger } from '../logger.ts';
import { faulty } from '../registry/policy.ts';
import { nextRoot } from '../registry/policy-change.ts';
import { policyInForce } from '../registry/state.ts';
import { parseStatement } from '../registry/statement.ts';
import type { Appointment } from './appointment.ts';
import { heldBy, neighbourOf, withFailover } from './block-sources.ts';
import type { BlockTimes } from './block-times.ts';
import type { Consortium } from './consortium.ts';
import { dutyOf, sameDuty, type Duty } from './duty.ts';
import { groupBytes, isAboutNode } from './member-calls.ts';
import type { Peers } from './peers.ts';

export interface EngineParts {
  /** OPERATOR/NODE. */
  readonly self: string;
  readonly replica: Replica;
  readonly peers: Peers;
  readonly appointment: Appointment;
  /** The node's statement key: signs blocks where it orders. */
  readonly key: PrivateKey;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Size of the newest head that k operators are known to have cosigned. */
  readonly acknowledged: () => number;
  readonly consortium: Consortium;
  readonly times: BlockTimes;
  /** Milliseconds between two looks at the others' policy (default 10,000). */
  readonly lookMs?: number;
}

const ORDER_MS = 15_000;
const MAX_POLL_MS = 20_000;
/** Between two questions to other nodes whether another policy is in force there. */
const WATCH_MS = 2_000;
const AGAIN_MS = 500;
const START_MS = 10_000;
/** Until a member whose engine can't be started tries again. */
const JOIN_AGAIN_MS = 30_000;
const TURN_MS = 20;
/** Between two looks whether the others have another policy while the engine brings none. */
const LOOK_MS = 10_000;
/** Until a member that is none any more stops its engine. */
const LEAVE_MS = 2_000;

export class Engine {
  readonly #parts: EngineParts;
  #ledger: Ledger | undefined;
  #duty: Duty;
  #answeredAt = 0;
  #stopping = false;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#duty = this.#dutyNow();
  }

  #dutyNow(): Duty {
    const { self, replica, appointment } = this.#parts;
    return dutyOf(self, replica, appointment.appointed());
  }

  /** Whether this node alone orders, now or as soon as it has caught up. */
  orders(): boolean {
    return this.#duty.kind === 'order';
  }

  /** Whether other nodes may hand on to it what is to be ordered. */
  takes(): boolean {
    return this.orders() || this.#duty.kind === 'consensus';
  }

  /**
   * When the orderer was heard last, POSIX seconds: it answered, or made the newest block here; under a consortium, when
   * it last committed (T11).
   */
  heardAt(): number {
    const { clock, replica, consortium } = this.#parts;
    if (this.orders()) return clock();
    const own = Math.min(clock(), replica.head().time);
    if (replica.ordering().engine === 'cometbft') return Math.max(consortium.heardAt(), own);
    return Math.max(this.#answeredAt, own);
  }

  /** The engine's port, whatever runs behind it. Errors of `submit`: NODE_ORDERER_UNREACHABLE while nothing does. */
  port(): Ledger {
    const { replica } = this.#parts;
    const source = replicaSource(replica);
    const running = (): Ledger =>
      this.#ledger ?? fail('NODE_ORDERER_UNREACHABLE', 'the engine is starting');
    return {
      submit: async (group) => {
        check(replica.halted() === undefined, 'LEDGER_HALTED');
        return (await this.#started()).submit(group);
      },
      blocks: (from, waitMs, signal) => source.blocks(from, waitMs, signal),
      status: () => running().status(),
      onHead: (listener) => replica.onHead(listener),
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  // A node answers before its engine runs: others need its answers for theirs to start. Whoever submits then waits a moment.
  async #started(): Promise<Ledger> {
    for (let waited = 0; !this.#ledger && !this.#stopping && waited < START_MS; waited += TURN_MS)
      await sleep(TURN_MS);
    return this.#ledger ?? fail('NODE_ORDERER_UNREACHABLE', 'the engine is starting');
  }

  /** Runs until the signal is aborted or the replica halts. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => void (this.#stopping = true), { once: true });
    const { replica, appointment, logger } = this.#parts;
    while (!signal.aborted && !replica.halted()) {
      const duty = this.#dutyNow();
      this.#duty = duty;
      const change = new AbortController();
      using watching = new DisposableStack();
      let leaving: NodeJS.Timeout | undefined;
      watching.defer(() => clearTimeout(leaving));
      const look = (): void => {
        if (!replica.halted() && sameDuty(this.#dutyNow(), duty)) return;
        // The others may not have this member's last votes yet.
        if (duty.kind === 'consensus' && !replica.halted())
          leaving ??= setTimeout(() => change.abort(), LEAVE_MS);
        else change.abort();
      };
      watching.defer(replica.onHead(look));
      watching.defer(replica.onCertified(look));
      // At once: after a promise nothing of another orderer may be appended.
      watching.defer(appointment.onChange(look));
      const over = AbortSignal.any([signal, change.signal]);
      try {
        logger.info('duty', {
          duty: duty.kind,
          ...(duty.kind === 'follow' && { orderer: duty.orderer.name }),
        });
        await this.#perform(duty, over);
      } catch (error) {
        if (over.aborted) continue;
        if (replica.halted()) break;
        logger.error('the engine failed', { duty: duty.kind, code: codeOf(error), error });
        await sleep(AGAIN_MS, undefined, { signal }).catch(() => undefined);
      }
    }
    const halt = replica.halted();
    if (halt) logger.error('the ledger halted', { code: halt.code, height: halt.height });
  }

  async #perform(duty: Duty, over: AbortSignal): Promise<void> {
    this.#parts.times.forget();
    switch (duty.kind) {
      case 'take over':
        return this.#takeOver(over);
      case 'order':
        return this.#run(await this.#order(over), over, this.#watch(duty, over));
      case 'follow':
        return this.#run(this.#follow(duty), over, this.#watch(duty, over));
      case 'consensus':
        return this.#join(duty, over);
      case 'follow consensus':
        return this.#followConsensus(over);
    }
  }

  async #followConsensus(over: AbortSignal): Promise<void> {
    const { consortium } = this.#parts;
    await this.#run(consortium.follow(), over, consortium.hear(over));
  }

  async #join(
    duty: Extract<Duty, { readonly kind: 'consensus' }>,
    over: AbortSignal,
  ): Promise<void> {
    const { consortium, logger } = this.#parts;
    const missed = new AbortController();
    try {
      const ledger = await consortium.join(duty, over);
      const either = AbortSignal.any([over, missed.signal]);
      await this.#run(ledger, either, this.#watchMissed(missed, either));
      if (!missed.signal.aborted) return;
    } catch (error) {
      logger.error('this member does not take part', { code: codeOf(error), error });
    } finally {
      consortium.left();
    }
    // As good as it can: it goes on with what the others agree on, and tries again.
    await this.#followConsensus(AbortSignal.any([over, AbortSignal.timeout(JOIN_AGAIN_MS)]));
  }

  // A policy may have left this member out, or moved the others, while it was away: by its engine it would never learn
  // of that, since nobody lets it in.
  async #watchMissed(missed: AbortController, over: AbortSignal): Promise<void> {
    const { replica, peers, consortium, logger, lookMs = LOOK_MS } = this.#parts;
    const stand = (): string =>
      `${consortium.health()?.height ?? 0} ${policyInForce(replica.view()).policy.version}`;
    let before = '';
    let shown = 0;
    for (let turn = 0; ; turn++) {
      await sleep(lookMs, undefined, { signal: over }).catch(() => undefined);
      if (over.aborted) return;
      const now = stand();
      if (now !== before) shown = 0;
      before = now;
      const others = peers.others();
      const peer = others[turn % Math.max(1, others.length)];
      const root = policyInForce(replica.view());
      try {
        const [change] = peer ? await peers.policies(peer, root.policy.version + 1, over) : [];
        if (!change) continue;
        nextRoot(root, parseStatement(change));
        // Shown again while the engine stands still: it is not just on its way.
        if (stand() !== before || ++shown < 2) continue;
        logger.warn('another policy is in force, which the engine does not bring', {
          version: root.policy.version + 1,
        });
        return missed.abort();
      } catch (error) {
        if (over.aborted) return;
        logger.debug('no policies', { peer: peer?.name, code: codeOf(error) });
      }
    }
  }

  async #run(ledger: Ledger, over: AbortSignal, beside: Promise<void>): Promise<void> {
    this.#ledger = ledger;
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const end = (): void => {
      // Stops within this turn: what was promised holds from here on.
      this.#ledger = undefined;
      void ledger[Symbol.asyncDispose]().then(resolve);
    };
    if (over.aborted) end();
    else over.addEventListener('abort', end, { once: true });
    await Promise.all([ended, beside]);
  }

  // T12: an orderer first takes over what others hold of its own chain. A network that has not begun has none.
  async #order(over: AbortSignal): Promise<Ledger> {
    const { replica, key, clock, logger } = this.#parts;
    await this.#recover(over, (neighbour) => this.#followPolicy(neighbour, over));
    return createLocalLedger({ replica, key, clock, logger });
  }

  async #recover(
    over: AbortSignal,
    first: (neighbour: Neighbour, name: string) => Promise<void>,
  ): Promise<void> {
    const { self, replica, peers, logger } = this.#parts;
    const own = self.split('/', 1)[0] ?? self;
    const n = policyInForce(replica.view()).policy.operators.length;
    await recover({
      replica,
      sources: peers
        .others()
        .map((peer) => heldBy(peers, peer, own, (neighbour) => first(neighbour, peer.name))),
      needed: n - faulty(n) - 1,
      signal: over,
      logger,
    });
    over.throwIfAborted();
  }

  async #followPolicy(neighbour: Neighbour, over: AbortSignal): Promise<void> {
    const { replica, acknowledged } = this.#parts;
    await followPolicy(replica, neighbour, acknowledged, over);
  }

  #follow({ orderer, promised }: Duty & { readonly kind: 'follow' }): Ledger {
    const { replica, peers, clock, logger, times } = this.#parts;
    const { maxHold } = policyInForce(replica.view()).policy;
    const source = withFailover(peers, orderer, {
      clock,
      others: () => (promised ? [] : peers.others()),
      usable: (blocks) => times.usable(blocks),
      onHeard: (from, count, askedAt) => {
        this.#answeredAt = clock();
        if (count === 0) times.heardNothing(from - 1, askedAt);
      },
    });
    return createFollowingLedger({
      replica,
      source,
      logger,
      // An idle orderer is heard several times within maxHold.
      waitMs: Math.min(MAX_POLL_MS, maxHold * 250),
      forward: async (group) => {
        try {
          return await peers.order(orderer, groupBytes(group), ORDER_MS);
        } catch (error) {
          if (isAboutNode(error)) fail('NODE_ORDERER_UNREACHABLE', undefined, {}, error);
          throw error;
        }
      },
    });
  }

  // Another policy may be in force elsewhere: this node was away, or its orderer was replaced.
  async #watch(duty: Duty, over: AbortSignal): Promise<void> {
    const { peers, logger } = this.#parts;
    for (let turn = 0; ; turn++) {
      await sleep(WATCH_MS, undefined, { signal: over }).catch(() => undefined);
      if (over.aborted) return;
      const promised = duty.kind === 'follow' && duty.promised;
      const asked = peers.others().filter(({ name }) => !promised || name === duty.orderer.name);
      const peer = asked[turn % Math.max(1, asked.length)];
      if (!peer) continue;
      try {
        await this.#followPolicy(neighbourOf(peers, peer), over);
      } catch (error) {
        if (over.aborted || codeOf(error)?.startsWith('NET_')) continue;
        logger.warn('a policy could not be followed', {
          peer: peer.name,
          code: codeOf(error),
          error,
        });
      }
    }
  }

  // T12: the longest chain that n - f operators hold, who follow nobody else any more; then the block that says so.
  async #takeOver(over: AbortSignal): Promise<void> {
    const { self, replica, peers, appointment, key, clock, logger } = this.#parts;
    const bytes = appointment.statement() ?? fail('NODE_TAKEOVER_INVALID');
    const { version } = policyInForce(replica.view()).policy;
    const named = new Map(peers.others().map((peer) => [peer.name, peer]));
    await this.#recover(over, async (_neighbour, name) => {
      await peers.takeOver(named.get(name) ?? fail('NODE_PEER_UNKNOWN'), bytes);
    });
    if (policyInForce(replica.view()).policy.version !== version) return;
    const { head } = replica.propose(
      [[{ statement: parseStatement(bytes), attachment: null }]],
      clock(),
      key,
    );
    logger.info('took over the ledger', { node: self, height: head?.height });
  }
}
