/** author.register: an author's first release key, its recovery keys (T01) and name. */
import { verify } from '#crypto';
import { compare, concat, equal, hex, utf8 } from '../../bytes.ts';
import { asArray, asBytes, asText, asUint } from '../../cbor/read.ts';
import type { Cbor } from '../../cbor/value.ts';
import { decodeKey, thumbprint } from '../../cose/key.ts';
import type { PublicKey } from '../../crypto/key.ts';
import { check, fail } from '../../errors.ts';
import { printable } from '../claims.ts';
import { publishAuthor } from '../newest.ts';
import { PSK_ID_BYTES } from '../psk.ts';
import type { RecoveryKeys } from '../recovery.ts';
import { getAuthor, policyInForce } from '../state.ts';
import type { Statement } from '../statement.ts';
import type { View } from '../view.ts';
import { parsePayload } from './payload.ts';

export interface Registration {
  readonly key: PublicKey;
  readonly keyBytes: Uint8Array;
  readonly recovery: readonly Uint8Array[];
  readonly threshold: number;
  readonly name: string;
  readonly operator: { readonly name: string; readonly signature: Uint8Array } | null;
  /** The key id of the PSK that its devices have (T07). */
  readonly psk: Uint8Array | null;
}

/** Errors: STATEMENT_MALFORMED. */
export function parseRegistration(statement: Statement): Registration {
  return parsePayload(statement, [1, 2, 3, 4, 5, 6], (get) => {
    const keyBytes = asBytes(get(1), 'release key', { max: 256 });
    return {
      key: decodeKey(keyBytes),
      keyBytes,
      recovery: asArray(get(2), 'recovery keys').map((key) => {
        const bytes = asBytes(key, 'recovery key', { max: 256 });
        decodeKey(bytes);
        return bytes;
      }),
      threshold: asUint(get(3), 'recovery threshold'),
      name: printable(asText(get(4), 'author name', 64), 'author name'),
      operator: parseOperator(get(5)),
      psk: get(6) === null ? null : asBytes(get(6), 'PSK key id', PSK_ID_BYTES),
    };
  });
}

function parseOperator(value: Cbor): Registration['operator'] {
  if (value === null) return null;
  const [name, signature] = asArray(value, 'operator', 2);
  return {
    name: asText(name ?? null, 'operator name', 32),
    signature: asBytes(signature ?? null, 'operator signature', 64),
  };
}

/** What an operator's governance key signs to say that it belongs to an author. */
export function operatorClaim(networkId: Uint8Array, author: Uint8Array): Uint8Array {
  return concat(utf8('firmament/author-operator/v1'), networkId, author);
}

export function registerAuthor(
  view: View,
  statement: Statement,
  networkId: Uint8Array,
  index: number,
): void {
  const registration = parseRegistration(statement);
  const id = thumbprint(registration.key);
  check(statement.issuer === hex(id) && statement.subject === hex(id), 'STATEMENT_SUBJECT');
  check(getAuthor(view, id) === undefined, 'AUTHOR_EXISTS');
  const { policy } = policyInForce(view);
  check(policy.registration === 'open', 'AUTHOR_APPROVAL_REQUIRED');
  check(registration.psk === null || policy.pskAuthors, 'AUTHOR_PSK_FORBIDDEN');
  checkRecovery([registration.keyBytes], registration);
  if (registration.operator)
    checkOperator(view, registration.operator, operatorClaim(networkId, id));
  publishAuthor(view, {
    id,
    keys: [registration.keyBytes],
    retired: [],
    recovery: registration.recovery,
    threshold: registration.threshold,
    name: registration.name,
    operator: registration.operator?.name ?? null,
    counters: [statement.counter],
    recoveryCounter: statement.counter,
    lines: 0,
    delegations: [],
    links: [index],
    rotations: 0,
    status: 0,
    ...(registration.psk && { psk: registration.psk }),
  });
}

/** T01: a thief with a release key must not hold a recovery key with it. Errors: AUTHOR_INVALID. */
export function checkRecovery(
  releaseKeys: readonly Uint8Array[],
  { recovery, threshold }: RecoveryKeys,
): void {
  check(recovery.length >= 1 && recovery.length <= 8, 'AUTHOR_INVALID', '1 to 8 recovery keys');
  check(
    threshold >= 1 && threshold <= recovery.length,
    'AUTHOR_INVALID',
    'threshold of 1 to the number of recovery keys',
  );
  const all = [...releaseKeys, ...recovery].toSorted(compare);
  const distinct = all.every((key, i) => i === 0 || !equal(key, all[i - 1] as Uint8Array));
  check(distinct, 'AUTHOR_INVALID', 'release and recovery keys are all different');
}

// Only an operator's governance key can say which author is its own.
function checkOperator(
  view: View,
  operator: NonNullable<Registration['operator']>,
  claim: Uint8Array,
): void {
  const { policy } = policyInForce(view);
  const known =
    policy.operators.find(({ name }) => name === operator.name) ?? fail('AUTHOR_OPERATOR_UNPROVEN');
  check(verify(decodeKey(known.governance), claim, operator.signature), 'AUTHOR_OPERATOR_UNPROVEN');
}
