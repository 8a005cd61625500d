/** What an attacker in a node's place can do to an update. */
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256, sign } from '#crypto';
import { decodeLatest, encodeLatest } from '../api/retrieval.ts';
import { equal, hex } from '../bytes.ts';
import { encode } from '../cbor/encode.ts';
import { asMap } from '../cbor/read.ts';
import { AUD, CWT_CLAIMS } from '../cose/claims.ts';
import { encodeSign1, sigStructure, decodeSign1 } from '../cose/sign1.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { fail } from '../errors.ts';
import { MAX_STATEMENT } from '../registry/statement.ts';
import { buildEnvelope } from '../suit/build.ts';
import { suitDigest } from '../suit/digest.ts';
import { parseEnvelope } from '../suit/envelope.ts';
import { decodeProof, encodeProof } from '../trust/proof.ts';
import type { Asked, Trick } from './attacker.ts';

export function asksLatest({ path }: Asked): boolean {
  return /^\/v1\/lines\/[^?]+\/latest(?:\?|$)/.test(path);
}

function asksEnvelope({ method, path }: Asked): boolean {
  return method === 'GET' && /^\/v1\/releases\/[0-9a-f]{64}(?:\?|$)/.test(path);
}

function asksImage({ method, path }: Asked): boolean {
  return method === 'GET' && /^\/v1\/images\/[0-9a-f]{64}$/.test(path);
}

/** Every answer with a part of an image has one bit of it changed. */
export const forgedImage: Trick = async (asked, forward) => {
  const answer = await forward();
  if (!asksImage(asked) || answer.body.length === 0) return answer;
  const body = answer.body.slice();
  const middle = body.length >> 1;
  body[middle] = (body[middle] as number) ^ 1;
  return { ...answer, body };
};

/** Whoever challenges the nodes through this one hears nothing of them (T14). */
export const challengesWithheld: Trick = async (asked, forward) => {
  if (!asked.path.startsWith('/v1/challenges')) return forward();
  return { status: 503, headers: {}, body: new Uint8Array() };
};

/** A `latest` answer that was true once, or is true for another line. */
export function latestInstead(recorded: Uint8Array): Trick {
  return async (asked, forward) => {
    if (!asksLatest(asked)) return forward();
    return { status: 200, headers: { 'content-type': 'application/cbor' }, body: recorded };
  };
}

/** Whatever release is asked for, this envelope. */
export function envelopeInstead(envelope: Uint8Array): Trick {
  return changedEnvelope(() => envelope);
}

/** The envelope of the release that was asked for, changed. */
export function changedEnvelope(change: (envelope: Uint8Array) => Uint8Array): Trick {
  return async (asked, forward) => {
    if (!asksEnvelope(asked)) return forward();
    const { status, headers, body } = await forward();
    return { status, headers, body: change(body) };
  };
}

/** Images trickle: each answer in so many parts, one every `ms` milliseconds. */
export function slowImage(parts: number, ms: number): Trick {
  return async (asked, forward) => {
    const answer = await forward();
    if (!asksImage(asked)) return answer;
    const { body } = answer;
    const step = Math.max(1, Math.ceil(body.length / parts));
    async function* trickle(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < body.length; at += step) {
        yield body.subarray(at, at + step);
        await sleep(ms);
      }
    }
    const headers = { ...answer.headers, 'content-length': String(body.length) };
    return { ...answer, headers, body: trickle() };
  };
}

/**
 * The envelope made to install another image: the digest `from` in its manifest replaced by `to`, signed anew by `key`
 * under the author's own header, claims and key id.
 */
export function forgeEnvelope(
  envelope: Uint8Array,
  images: { readonly from: Uint8Array; readonly to: Uint8Array },
  key: PrivateKey,
): Uint8Array {
  const { manifestBytes, authenticationBlocks } = parseEnvelope(envelope);
  const manifest = replaced(manifestBytes, images.from, images.to);
  const [block] = authenticationBlocks;
  if (!block) return fail('SUIT_UNAUTHENTICATED');
  const { protectedBytes } = decodeSign1(block, { maxBytes: 1 << 16, sorted: false });
  const signature = sign(key, sigStructure(protectedBytes, suitDigest(manifest)));
  return buildEnvelope({
    manifest,
    authenticationBlocks: [encodeSign1({ protectedBytes, payload: null, signature })],
  });
}

/** The statement as if its author had consented to publish it on a network; the signature is as it was (T04). */
export function withNetwork(statement: Uint8Array, networkId: Uint8Array): Uint8Array {
  const { header, payload, signature } = decodeSign1(statement, { maxBytes: MAX_STATEMENT });
  const claims = asMap(header.get(CWT_CLAIMS) ?? null, 'claims');
  const consent = new Map([...claims, [AUD, hex(networkId)] as const]);
  const protectedBytes = encode(new Map([...header, [CWT_CLAIMS, consent] as const]));
  return encodeSign1({ protectedBytes, payload, signature });
}

/** A true `latest` answer with a link more at the end of its links (T02). */
export function linkInserted(link: Uint8Array): Trick {
  return async (asked, forward) => {
    const answer = await forward();
    if (!asksLatest(asked)) return answer;
    const latest = decodeLatest(answer.body);
    const proof = decodeProof(latest.proof);
    const changed = encodeProof({ ...proof, links: [...proof.links, link] });
    return { ...answer, body: encodeLatest({ ...latest, proof: changed }) };
  };
}

/** The same bytes with every occurrence of 32 of them exchanged. */
function replaced(bytes: Uint8Array, from: Uint8Array, to: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  let found = 0;
  for (let at = 0; at + from.length <= copy.length; at++) {
    if (!equal(copy.subarray(at, at + from.length), from)) continue;
    copy.set(to, at);
    found++;
  }
  if (found === 0) fail('SUIT_DIGEST_MISSING', 'the manifest does not name that image');
  return copy;
}

/** The digest of what the attacker would like to see installed. */
export function digestOfMalware(): Uint8Array {
  return sha256(new TextEncoder().encode('malware'));
}
