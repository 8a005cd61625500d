/** `latest` answers, made once a head and line and kept in memory: reads never wait for a commit. */
import { hex } from '../bytes.ts';
import { sha256 } from '#crypto';
import { encodeLatest } from '../api/retrieval.ts';
import { fail } from '../errors.ts';
import { authorKey, lineKey, lineText, type Line } from '../registry/line.ts';
import { decodeLineValue } from '../registry/map-value.ts';
import { linksOf } from '../registry/newest.ts';
import { parseStatement } from '../registry/statement.ts';
import type { Replica } from '../ledger/replica.ts';
import { encodeProof } from '../trust/proof.ts';
import type { Heads, QuorumHead } from './heads.ts';

export interface Answer {
  readonly body: Uint8Array;
  readonly etag: string;
}

const MAX_KEPT = 16_384;
const MAX_LINK_BYTES = 12_288;
const MAX_LINKS = 64;

export class Answers {
  readonly #replica: Replica;
  readonly #heads: Heads;
  readonly #kept = new Map<string, Answer>();
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
    const answer = this.#make(line, quorum, linksKnown);
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
    this.#kept.set(key, answer);
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
      this.#kept.clear();
      this.#quorum = quorum;
    }
    return quorum;
  }

  #make(line: Line, { head, cosignatures }: QuorumHead, linksKnown: number | undefined): Answer {
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
      authorValue: map.value(authorKey(line.author)) ?? null,
      links: linksKnown === undefined ? [] : this.#links(key, head.size, linksKnown),
    });
    const body = encodeLatest({ line, version: this.#version(lineValue), proof });
    return { body, etag: `"${hex(sha256(body)).slice(0, 32)}"` };
  }

  // As many as fit beside the proof; a reader that slept through more asks again from where it came to.
  #links(key: Uint8Array, size: number, known: number): readonly Uint8Array[] {
    const links: Uint8Array[] = [];
    let room = MAX_LINK_BYTES;
    for (const index of linksOf(this.#replica.view(), key).slice(known)) {
      const stored = index < size ? this.#replica.statement(index) : undefined;
      if (!stored || stored.bytes.length > room || links.length >= MAX_LINKS) break;
      room -= stored.bytes.length;
      links.push(stored.bytes);
    }
    return links;
  }

  // A hint for people and for a device that need not read further; the envelope decides.
  #version(lineValue: Uint8Array): string {
    const { newest } = decodeLineValue(lineValue);
    const stored = newest && this.#replica.releases(newest.digest)[0];
    return (stored && parseStatement(stored.bytes).release?.version) ?? '';
  }
}
