/** A network of n operators with one node each, for tests; keys follow from the names. */
import { sha256, privateKey } from '#crypto';
import { utf8 } from '../../src/bytes.ts';
import { encodeKey } from '../../src/cose/key.ts';
import type { PrivateKey } from '../../src/crypto/key.ts';
import { faulty, type Operator, type Policy } from '../../src/registry/policy.ts';

/** The same Ed25519 key for the same label. */
export function sampleKey(label: string): PrivateKey {
  return privateKey('Ed25519', sha256(utf8(`sample key ${label}`)));
}

/** `o0`, the only operator that is an author too, to `o9`, each with one node `n`. */
export function sampleOperator(index: number): Operator {
  const name = `o${index}`;
  return {
    name,
    kind: index === 0 ? 'author' : 'non-author',
    governance: encodeKey(sampleKey(`${name} governance`).publicKey),
    nodes: [
      {
        name: 'n',
        roles: ['general', 'registration', 'retrieval'],
        url: `https://${name}.example`,
        spki: sha256(utf8(`${name} tls`)),
        cosigner: sampleKey(`${name} cosigner`).publicKey,
        receipt: sampleKey(`${name} receipt`).publicKey,
        statement: sampleKey(`${name} statement`).publicKey,
      },
    ],
  };
}

/** A policy of `n` (1 to 10) operators that satisfies T09, with the given changes. */
export function samplePolicy(n: number, changes: Partial<Policy> = {}): Policy {
  const trial = n <= 2;
  return {
    version: 1,
    mode: trial ? 'trial' : 'consortium',
    operators: Array.from({ length: n }, (_, index) => sampleOperator(index)),
    threshold: Math.ceil(n / 2),
    quorum: trial ? n : Math.max(2 * faulty(n) + 1, Math.floor((n + faulty(n)) / 2) + 1),
    copies: Math.min(2, n),
    copiesElsewhere: n === 1 ? 0 : 1,
    maxAge: 86_400,
    maxHold: 3_600,
    skew: 300,
    registration: 'open',
    pskAuthors: false,
    vendorProof: false,
    orderer: { engine: 'local', operator: 'o0', node: 'n' },
    ...changes,
  };
}
