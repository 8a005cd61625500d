/** `latest` answers, made once a head and line and kept in memory: reads never wait for a commit. */
import { equal, fromHex, hex } from '../bytes.ts';
import { sha256 } from '#crypto';
import { encodeLatest } from '../api/retrieval.ts';
import { fail } from '../errors.ts';
import { authorKey, lineKey, lineText, type Line } from '../registry/line.ts';
import { decodeLineValue } from '../registry/map-value.ts';
import { linksOf } from '../registry/newest.ts';
import { getLine } from '../registry/state.ts';
import { parseStatement } from '../registry/statement.ts';
import type { MapReader } from '../ledger/committed-ledger.ts';
import type { Replica } from '../ledger/replica.ts';
import { encodeProof } from '../trust/proof.ts';
import type { Heads, QuorumHead } from './heads.ts';

export interface Answer {
  readonly body: Uint8Array;
  readonly etag: string;
}

const MAX_KEPT = 16_384;
/** Answers with links are larger, and whoever asks chooses how many different ones there are. */
const MAX_KEPT_BYTES = 32 << 20;
const MAX_LINK_BYTES = 10_240;
const MAX_LINKS = 64;

export class Answers {
  readonly #replica: Replica;
  readonly #heads: Heads;
  readonly #kept = new Map<string, Answer>();
  #keptBytes = 0;
  #quorum: QuorumHead | undefined;
  // The path of the last leaf is the same for every line of a head.
  #path: readonly Uint8Array[] = [];

  constructor(replica: Replica, heads: Heads) {
    this.#replica = replica;
    this.#heads = heads;
  }

  /**
   * The update proof of a line at the newest quorum head, with the links that follow the first `linksKnown` when
   * that is given (T02). Errors: NODE_NO_QUORUM, LINE_UNKNOWN.
   */
  latest(line: Line, linksKnown?: number): Answer {
    const quorum = this.#current();
    const key = `${lineText(line)} ${linksKnown ?? ''}`;
    const kept = this.#kept.get(key);
    if (kept) return kept;
    const links = linksKnown === undefined ? [] : this.#links(lineKey(line), quorum, linksKnown);
    // Whoever has all links shares the answer of whoever asks for none.
    const answer =
      linksKnown !== undefined && links.length === 0
        ? this.latest(line)
        : this.#make(line, quorum, links);
    if (this.#kept.size >= MAX_KEPT || this.#keptBytes >= MAX_KEPT_BYTES) this.#forget();
    this.#kept.set(key, answer);
    this.#keptBytes += answer.body.length;
    return answer;
  }

  #current(): QuorumHead {
    const quorum = this.#heads.quorum();
    if (quorum !== this.#quorum) {
      const { size, height } = quorum.head;
      if (size !== this.#quorum?.head.size) {
        this.#path = this.#replica.inclusionPath(size - 1, size);
        this.#replica.prune(height);
      }
      this.#forget();
      this.#quorum = quorum;
    }
    return quorum;
  }

  #forget(): void {
    this.#kept.clear();
    this.#keptBytes = 0;
  }

  #make(line: Line, { head, cosignatures }: QuorumHead, links: readonly Uint8Array[]): Answer {
    const map = this.#replica.at(head.height);
    const key = lineKey(line);
    const lineValue = map.value(key) ?? fail('LINE_UNKNOWN');
    const { height, time, stateRoot, policyVersion, policyHash, previous } = head.epoch;
    const proof = encodeProof({
      size: head.size,
      cosignatures,
      path: this.#path,
      epoch: { height, time, stateRoot, policyVersion, policyHash, previous },
      lineValue,
      mapProof: map.prove(key),
      authorValue: this.#authorValue(map, key, lineValue) ?? null,
      links,
    });
    const body = encodeLatest({ line, version: this.#version(lineValue), proof });
    return { body, etag: `"${hex(sha256(body)).slice(0, 32)}"` };
  }

  // As many as fit beside the proof; a reader that slept through more asks again from where it came to.
  #links(key: Uint8Array, { head }: QuorumHead, known: number): readonly Uint8Array[] {
    // A line that this head does not have yet is refused where its answer is made.
    if (!getLine(this.#replica.view(), key)) return [];
    const links: Uint8Array[] = [];
    let room = MAX_LINK_BYTES;
    for (const index of linksOf(this.#replica.view(), key).slice(known)) {
      const stored = index < head.size ? this.#replica.statement(index) : undefined;
      if (!stored || stored.bytes.length > room || links.length >= MAX_LINKS) break;
      room -= stored.bytes.length;
      links.push(stored.bytes);
    }
    return links;
  }

  // Of the owner at that head; the state may have gone on to a later transfer (T01).
  #authorValue(map: MapReader, key: Uint8Array, lineValue: Uint8Array): Uint8Array | undefined {
    const { authorHash } = decodeLineValue(lineValue);
    const view = this.#replica.view();
    const owners = [getLine(view, key)?.owner ?? fail('LINE_UNKNOWN')];
    for (const index of linksOf(view, key).toReversed()) {
      const stored = this.#replica.statement(index);
      if (stored) owners.push(fromHex(parseStatement(stored.bytes).issuer));
    }
    for (const owner of owners) {
      const value = map.value(authorKey(owner));
      if (value && equal(sha256(value), authorHash)) return value;
    }
    return undefined;
  }

  // A hint for people and for a device that need not read further; the envelope decides.
  #version(lineValue: Uint8Array): string {
    const { newest } = decodeLineValue(lineValue);
    const stored = newest && this.#replica.releases(newest.digest)[0];
    return (stored && parseStatement(stored.bytes).release?.version) ?? '';
  }
}
