/**
 * T02: a release key is believed by signed links from the author anchor that the reader was made with.
 * The quorum's word (the author entry) can take a key away, and can never put one in its place.
 */
import { equal, hex } from '../bytes.ts';
import { decodeKey, encodeKey, thumbprint } from '../cose/key.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check, fail } from '../errors.ts';
import { authenticate } from '../registry/authenticate.ts';
import { keyIdOf } from '../registry/key-id.ts';
import { lineText, type Line } from '../registry/line.ts';
import { recoveryBody, type RecoveryKeys } from '../registry/recovery.ts';
import { parseRegistration } from '../registry/rules/author-register.ts';
import { parseRevocation } from '../registry/rules/key-revoke.ts';
import { parseRotation } from '../registry/rules/key-rotate.ts';
import { parseDelegation } from '../registry/rules/line-delegate.ts';
import { parseTransfer } from '../registry/rules/line-transfer.ts';
import { parseStatement, type Statement } from '../registry/statement.ts';
import type { ProvenLine } from './proof.ts';

/** A key that links lead to, and whose releases it signs (`iss`). */
export interface LinkedKey {
  /** COSE_Key bytes. */
  readonly key: Uint8Array;
  /** Author id in hex: of the author whose key it is, or of the delegate itself. */
  readonly issuer: string;
  /** Of a delegate's: the log entry of its delegation. */
  readonly delegation: Uint8Array | null;
}

/** What a reader keeps of the links it has checked, for one line. It only grows. */
export interface Chain {
  /** How many links were checked. */
  readonly count: number;
  /** Author id of the line's present owner. */
  readonly owner: Uint8Array;
  readonly keys: readonly LinkedKey[];
  /** Null until the owner's registration was seen. */
  readonly recovery: RecoveryKeys | null;
  /** Counter of the owner's last link. */
  readonly counter: bigint;
}

const MAX_KEYS = 96;

/** Where every chain begins: the anchor's own key. */
export function anchoredChain(anchor: PublicKey): Chain {
  const owner = thumbprint(anchor);
  return {
    count: 0,
    owner,
    keys: [{ key: encodeKey(anchor), issuer: hex(owner), delegation: null }],
    recovery: null,
    counter: 0n,
  };
}

/**
 * The chain with further links at its end, each signed by the keys that the chain had before it.
 * Errors: TRUST_LINK_INVALID.
 */
export function extendChain(
  chain: Chain,
  line: Line,
  networkId: Uint8Array,
  links: readonly Uint8Array[],
): Chain {
  return links.reduce((known, link) => {
    try {
      const statement = parseStatement(link);
      check(
        statement.network === hex(networkId),
        'TRUST_LINK_INVALID',
        'a link of another network',
      );
      const next = follow(known, line, statement);
      check(next.keys.length <= MAX_KEYS, 'TRUST_LINK_INVALID', 'too many keys');
      return { ...next, count: known.count + 1, counter: statement.counter };
    } catch (cause) {
      return fail(
        'TRUST_LINK_INVALID',
        cause instanceof Error ? cause.message : undefined,
        {},
        cause,
      );
    }
  }, chain);
}

function follow(chain: Chain, line: Line, statement: Statement): Chain {
  check(statement.issuer === hex(chain.owner), 'TRUST_LINK_INVALID', 'a link of another author');
  if (statement.kind === 'author.register') return registered(chain, statement);
  check(statement.counter > chain.counter, 'TRUST_LINK_INVALID', 'links out of order');
  const recovery = chain.recovery ?? fail('TRUST_LINK_INVALID', 'a link before the registration');
  const body = recoveryBody(statement, recovery);
  if (statement.kind === 'key.rotate') {
    const { keys, next } = parseRotation(body);
    return {
      ...chain,
      keys: joined(chain.keys, keys, statement.issuer),
      recovery: next ?? recovery,
    };
  }
  if (statement.kind === 'key.revoke') {
    const { keyId, from } = parseRevocation(body);
    // Never to be trusted; a key that was good once is the author entry's to list. Delegations end by line.delegate.
    const stays = ({ key, delegation }: LinkedKey): boolean =>
      from > 0 || delegation !== null || !equal(keyIdOf(key), keyId);
    return { ...chain, keys: chain.keys.filter(stays) };
  }
  check(statement.subject === lineText(line), 'TRUST_LINK_INVALID', 'a link of another line');
  if (statement.kind === 'line.delegate') {
    const { key, granted } = parseDelegation(body);
    if (!granted) return chain;
    const delegate = { key, issuer: hex(keyIdOf(key)), delegation: statement.entry };
    return { ...chain, keys: [...chain.keys, delegate] };
  }
  check(statement.kind === 'line.transfer', 'TRUST_LINK_INVALID', 'not a link');
  return { ...chain, owner: parseTransfer(body).to, recovery: null };
}

// Its key's thumbprint is the author id, so nobody else can have made it.
function registered(chain: Chain, statement: Statement): Chain {
  check(chain.recovery === null, 'TRUST_LINK_INVALID', 'a second registration');
  const { key, keyBytes, recovery, threshold } = parseRegistration(statement);
  check(equal(thumbprint(key), chain.owner), 'TRUST_LINK_INVALID', 'a registration of another key');
  authenticate(statement, key);
  return {
    ...chain,
    keys: joined(chain.keys, [keyBytes], statement.issuer),
    recovery: { recovery, threshold },
  };
}

function joined(
  known: readonly LinkedKey[],
  keys: readonly Uint8Array[],
  issuer: string,
): readonly LinkedKey[] {
  const isKnown = (key: Uint8Array): boolean =>
    known.some(
      (other) => equal(other.key, key) && other.issuer === issuer && other.delegation === null,
    );
  const fresh = keys.filter((key) => !isKnown(key));
  return [...known, ...fresh.map((key) => ({ key, issuer, delegation: null }))];
}

/** A key that may have signed a release of the line: linked, and listed by the author entry. */
export interface TrustedKey {
  readonly key: PublicKey;
  readonly issuer: string;
}

/** The keys that are both linked and listed (T02). */
export function trustedKeys(chain: Chain, proven: ProvenLine): readonly TrustedKey[] {
  const { keys, delegations } = proven.author;
  return chain.keys
    .filter(({ key, delegation }) =>
      delegation
        ? delegations.some((entry) => equal(entry, delegation))
        : keys.some((kid) => equal(kid, keyIdOf(key))),
    )
    .map(({ key, issuer }) => ({ key: decodeKey(key), issuer }));
}

/**
 * Says why a kid is not among the trusted keys. Errors: TRUST_KEY_UNLISTED when links lead to it and the author
 * entry does not list it, TRUST_KEY_UNLINKED when it is the other way round.
 */
export function checkKeyKnown(chain: Chain, proven: ProvenLine, keyId: Uint8Array): void {
  if (trustedKeys(chain, proven).some(({ key }) => equal(thumbprint(key), keyId))) return;
  check(!chain.keys.some(({ key }) => equal(keyIdOf(key), keyId)), 'TRUST_KEY_UNLISTED');
  check(!proven.author.keys.some((kid) => equal(kid, keyId)), 'TRUST_KEY_UNLINKED');
}
