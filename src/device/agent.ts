/**
 * The device agent: asks several nodes, believes none of them, and installs what trust/ accepts. Each round is
 * one call of `poll`; whoever runs the device decides how often.
 */
import { hex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { thumbprint } from '../cose/key.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { codeOf, fail, FirmamentError, type Code } from '../errors.ts';
import type { PreSharedKey } from '../registry/psk.ts';
import type { Root } from '../registry/root.ts';
import {
  acceptProof,
  checkMayInstall,
  choicesOf,
  readOffered,
  type Choice,
  type JudgedLine,
} from '../trust/accept.ts';
import { checkFreshEnough, freshnessText, type ClockName } from '../trust/freshness.ts';
import type { VerifiedRelease } from '../trust/release.ts';
import type { Confirmed, Provision } from '../trust/state.ts';
import type { Bootloader } from './bootloader.ts';
import type { Challenge } from '../trust/challenge.ts';
import { challenge, isDoubtful, type ChallengeWay } from './challenge.ts';
import { isStorageError } from '../reader/files.ts';
import { install } from './install.ts';
import { followPolicies } from '../reader/follow-policies.ts';
import type { NodeAccess } from '../reader/nodes.ts';
import { ordered, type Order } from './order.ts';
import type { Provisioning } from './provision.ts';
import { signReport } from './report.ts';
import type { PinnedRoot } from '../reader/follow-policies.ts';
import type { Slots } from './slots.ts';
import type { DeviceStateFile } from './state.ts';
import {
  confirmedOf,
  provisionOf,
  remember,
  rememberConfirmed,
  trustStateOf,
} from './trust-memory.ts';

export type AgentEvent =
  | {
      readonly type: 'refused';
      readonly node: string;
      readonly code: string;
      readonly about: string;
    }
  | { readonly type: 'unreachable'; readonly node: string; readonly code: string }
  | {
      readonly type: 'accepted';
      readonly node: string;
      readonly line: string;
      readonly freshness: string;
      readonly size: number;
    }
  | {
      readonly type: 'installing';
      readonly digest: string;
      readonly version: string;
      readonly bytes: number;
    }
  | {
      readonly type: 'progress';
      readonly done: number;
      readonly total: number;
      readonly source: string;
    }
  | { readonly type: 'liar'; readonly node: string; readonly code: string };

/** What one round came to. */
export interface PollResult {
  readonly outcome: 'up-to-date' | 'installed' | 'rolled-back' | 'refused';
  /** `fresh(own clock)`, `stale(age)`, ...; of the line that decided. */
  readonly freshness?: string;
  readonly version?: string;
  readonly digest?: string;
  /** The image was stored unchanged and not run. */
  readonly opaque?: boolean;
  /** Why it was refused, and by whom it came; the last of them when every node was. */
  readonly code?: Code;
  readonly message?: string;
}

export interface AgentParts {
  readonly provisioning: Provisioning;
  readonly state: DeviceStateFile;
  readonly slots: Slots;
  readonly bootloader: Bootloader;
  /** The root in force, kept from one policy to the next (T08). */
  readonly root: PinnedRoot;
  /** Whom to ask under a root. */
  readonly nodes: (root: Root) => readonly NodeAccess[];
  /** Who is asked when the clock does not do (T14), and how; without it nobody is. */
  readonly challenges?: ChallengeWay | undefined;
  readonly key: PrivateKey;
  /** The PSK that the provisioning names (T07). */
  readonly psk?: PreSharedKey | undefined;
  readonly clock: Clock;
  /** Whose time `clock` gives (T14): the device's own unless said otherwise. */
  readonly clockName?: () => ClockName;
  /** Whether the owner agrees to install on a stale proof (T18). */
  readonly consent: boolean;
  /** A person asked for a release whose trial failed before (T19). */
  readonly retry?: boolean;
  readonly onEvent?: (event: AgentEvent) => void;
}

// What refuses one release here and says nothing of the next track's (T17: the first that it may install).
const NEXT_TRACK: readonly (Code | undefined)[] = [
  'DEVICE_CONSENT_NEEDED',
  'DEVICE_TRIAL_FAILED_BEFORE',
  'TRUST_NOT_APPLICABLE',
  'TRUST_SEQUENCE_ROLLBACK',
  'TRUST_STALE',
];

// Each answer brings one link at least, and no line has more than this many.
const MAX_ROUNDS = 512;

export class Agent {
  readonly #parts: AgentParts;
  /** Nodes that gave a proof or image that was refused come last. */
  readonly #distrusted = new Set<string>();
  #turn = 0;

  constructor(parts: AgentParts) {
    this.#parts = parts;
  }

  get #provision(): Provision {
    const { provisioning, root, psk } = this.#parts;
    return { ...provisionOf(provisioning, psk), root: root.root };
  }

  /**
   * One round: ask, judge, fetch, install, report. With an order it is about that release and no other. Never throws
   * for what a node did.
   */
  async poll(order?: Order): Promise<PollResult> {
    try {
      await rememberConfirmed(this.#parts.slots, this.#parts.state);
      const lines = await this.#judgeLines();
      const confirmed = confirmedOf(this.#parts.state.state);
      const choices = choicesOf(lines, confirmed, { reinstall: this.#isLost(confirmed) });
      const wanted = order ? ordered(choices, order, confirmed) : choices;
      if (wanted.length > 0) return await this.#tryChoices(wanted, order);
      const freshness = lines[0] && freshnessText(lines[0].freshness);
      return { outcome: 'up-to-date', ...(freshness && { freshness }) };
    } catch (error) {
      if (error instanceof FirmamentError)
        return { outcome: 'refused', code: error.code, message: error.message };
      throw error;
    }
  }

  /** Each followed line with the best proof that any node gives: fresh rather than stale. */
  async #judgeLines(): Promise<readonly JudgedLine[]> {
    const judged: JudgedLine[] = [];
    let refusal: unknown;
    for (const position of this.#provision.lines.keys()) {
      const found = await this.#judgeLine(position);
      if ('refusal' in found) refusal = found.refusal;
      else judged.push(found);
    }
    if (judged.length === 0) throw refusal ?? new FirmamentError('DEVICE_NO_NODE');
    return judged;
  }

  async #judgeLine(position: number): Promise<JudgedLine | { readonly refusal: unknown }> {
    const found = await this.#bestProof(position);
    if ('refusal' in found || !isDoubtful(found)) return found;
    return (await this.#challenge(position)) ?? found;
  }

  async #bestProof(position: number): Promise<JudgedLine | { readonly refusal: unknown }> {
    let stale: JudgedLine | undefined;
    let refusal: unknown;
    for (const node of this.#order()) {
      try {
        const judged = await this.#askProof(node, position);
        if (judged.freshness.kind === 'fresh') return judged;
        stale = judged;
      } catch (error) {
        refusal = this.#note(node, error, 'proof', refusal);
      }
    }
    return stale ?? { refusal };
  }

  /** The line with a proof that k operators named to a nonce of this device; undefined when they can't be brought to. */
  #challenge(position: number): Promise<JudgedLine | undefined> {
    const { challenges, root, key, provisioning, state } = this.#parts;
    const { line } = this.#provision.lines[position] ?? fail('TRUST_UNPROVISIONED');
    return challenge(challenges, {
      root: root.root,
      deviceId: thumbprint(key.publicKey),
      nodes: () => this.#order(),
      about: () => ({
        line,
        linksKnown: trustStateOf(provisioning, state.state).chains[position]?.count ?? 0,
      }),
      judge: (node, question, proof) => this.#askOnce(node, position, { question, proof }),
      onFailure: (node, error) => void this.#note(node, error, 'challenge', undefined),
    });
  }

  async #askProof(node: NodeAccess, position: number): Promise<JudgedLine> {
    let judged = await this.#askOnce(node, position);
    // T02: a proof carries only so many links; the rest follows where the chain ends now.
    for (let round = 0; judged.proven.links.length > 0 && round < MAX_ROUNDS; round++)
      judged = await this.#askOnce(node, position);
    return judged;
  }

  async #askOnce(
    node: NodeAccess,
    position: number,
    challenged?: { readonly question: Challenge; readonly proof: Uint8Array | undefined },
  ): Promise<JudgedLine> {
    const { provisioning, state, clock } = this.#parts;
    const { line } = this.#provision.lines[position] ?? fail('TRUST_UNPROVISIONED');
    const memory = trustStateOf(provisioning, state.state);
    const proof =
      challenged?.proof ?? (await node.latest(line, memory.chains[position]?.count ?? 0));
    await followPolicies(this.#parts.root, node, proof);
    const accepted = acceptProof(
      this.#provision,
      memory,
      position,
      proof,
      clock(),
      this.#parts.clockName?.(),
      challenged?.question,
    );
    await state.update((before) => remember(provisioning, before, position, accepted.state));
    this.#emit({
      type: 'accepted',
      node: node.name,
      line: provisioning.lines[position]?.text ?? '',
      freshness: freshnessText(accepted.judged.freshness),
      size: accepted.judged.proven.head.size,
    });
    return accepted.judged;
  }

  // The confirmed release was damaged on the storage: it gave way to the other slot, or nothing boots (T19).
  #isLost(confirmed: Confirmed | null): boolean {
    const { slots, bootloader } = this.#parts;
    const { active } = slots.state;
    if (!confirmed || bootloader.status.kind === 'unbootable') return true;
    return (active && slots.state.slots[active]?.digest) !== hex(confirmed.digest);
  }

  async #tryChoices(choices: readonly Choice[], order: Order | undefined): Promise<PollResult> {
    let refusal: unknown;
    for (const choice of choices) {
      try {
        const { freshness } = choice.judged;
        checkFreshEnough(freshness, this.#provision.staleInstall, this.#parts.consent);
        return await this.#obtain(choice, order);
      } catch (error) {
        if (!NEXT_TRACK.includes(codeOf(error))) throw error;
        refusal ??= error;
      }
    }
    throw refusal;
  }

  async #obtain(choice: Choice, order: Order | undefined): Promise<PollResult> {
    let refusal: unknown;
    for (const node of this.#order()) {
      let release: VerifiedRelease;
      try {
        const line = choice.judged.followed.line;
        const envelope = await node.release(line, choice.digest);
        release = readOffered(choice.judged, envelope, choice.digest);
      } catch (error) {
        refusal = this.#note(node, error, 'release', refusal);
        continue;
      }
      checkMayInstall(choice.judged, release, confirmedOf(this.#parts.state.state));
      return this.#install(choice, release, order);
    }
    throw refusal ?? new FirmamentError('DEVICE_NO_NODE');
  }

  async #install(
    choice: Choice,
    release: VerifiedRelease,
    order: Order | undefined,
  ): Promise<PollResult> {
    const { slots, bootloader, provisioning } = this.#parts;
    const outcome = await install({
      release,
      line: choice.judged.followed.line,
      provisioning,
      slots,
      bootloader,
      nodes: this.#order(),
      retry: this.#parts.retry ?? false,
      clock: this.#parts.clock,
      onStart: (bytes) =>
        this.#emit({
          type: 'installing',
          digest: hex(release.digest),
          version: release.claims.version,
          bytes,
        }),
      onProgress: (done, total, source) => this.#emit({ type: 'progress', done, total, source }),
      onLiar: (node) => {
        this.#distrusted.add(node);
        this.#emit({ type: 'liar', node, code: 'DEVICE_DOWNLOAD_MISMATCH' });
      },
    });
    await rememberConfirmed(this.#parts.slots, this.#parts.state);
    const freshness = freshnessText(choice.judged.freshness);
    await this.#report(choice, release, outcome, freshness, order?.nonce);
    const { failure } = outcome;
    return {
      outcome: failure ? 'rolled-back' : 'installed',
      freshness,
      version: release.claims.version,
      digest: hex(release.digest),
      opaque: outcome.opaque,
      ...(failure && { code: failure.code, message: failure.message }),
    };
  }

  /** Reporting is a courtesy to the author: that it fails changes nothing on the device. */
  async #report(
    choice: Choice,
    release: VerifiedRelease,
    outcome: Awaited<ReturnType<typeof install>>,
    freshness: string,
    nonce: Uint8Array | undefined,
  ): Promise<void> {
    const { state, key, provisioning } = this.#parts;
    const { counter } = await state.update((before) => ({
      ...before,
      counter: before.counter + 1,
    }));
    const report = signReport(key, provisioning.root, {
      digest: release.envelope.envelope.digest,
      referenceUri: release.envelope.manifest.referenceUri ?? '',
      records: outcome.records,
      result: outcome.result,
      counter,
      headSize: choice.judged.proven.head.size,
      freshness,
      opaque: outcome.opaque,
      nonce,
    });
    for (const node of this.#order()) {
      try {
        await node.report(report);
        return;
      } catch (error) {
        if (!codeOf(error)) throw error;
      }
    }
  }

  /** The nodes to ask, a different one first each time; those that lied come last. */
  #order(): readonly NodeAccess[] {
    const nodes = this.#parts.nodes(this.#parts.root.root);
    const from = this.#turn++ % Math.max(1, nodes.length);
    return [...nodes.slice(from), ...nodes.slice(0, from)].toSorted(
      (a, b) => Number(this.#distrusted.has(a.name)) - Number(this.#distrusted.has(b.name)),
    );
  }

  // A node that can't be reached says nothing; one whose answer is refused lied, or is behind.
  #note(node: NodeAccess, error: unknown, about: string, before: unknown): unknown {
    const code = codeOf(error);
    if (!code || isStorageError(error)) throw error;
    if (/^(NET|NODE|COSIGNER)_/.test(code)) {
      this.#emit({ type: 'unreachable', node: node.name, code });
      return before ?? error;
    }
    this.#distrusted.add(node.name);
    this.#emit({ type: 'refused', node: node.name, code, about });
    return error;
  }

  #emit(event: AgentEvent): void {
    this.#parts.onEvent?.(event);
  }
}
