/** Mutations of the rules about who may speak for an author, and of whom a reader believes it. */
import { mutations } from './mutation-list.ts';
import type { Mutation } from './mutations.ts';

const T01 = 'test/attacks/T01-recovery.test.ts';
const T02 = 'test/attacks/T02-links.test.ts';
const LINKS = 'src/trust/links.ts';
const RECOVERY = 'src/registry/recovery.ts';

const OF_RECOVERY: readonly (readonly [find: string, replace: string])[] = [
  ['authenticate(statement, decodeKey(named(statement.keyId)));', ''],
  [
    "check(signers.size >= keys.threshold, 'RECOVERY_THRESHOLD',",
    "check(true, 'RECOVERY_THRESHOLD',",
  ],
  ['verify(decodeKey(named(keyId)), approved, signature),', 'true,'],
];

export const KEY_MUTATIONS: readonly Mutation[] = [
  ...mutations('T01', RECOVERY, T01, [
    ...OF_RECOVERY,
    ['signers.add(hex(keyId));', 'signers.add(hex(signature));'],
    ["network ?? '', kind, issuer", 'kind, issuer'],
    ["network ?? '', kind, issuer", "network ?? '', issuer"],
    ['subject, counter, body]', 'subject, body]'],
    ['subject, counter, body]', 'subject, counter]'],
  ]),
  ...mutations('T01', 'src/registry/apply.ts', T01, [
    ["check(statement.counter > author.recoveryCounter, 'STATEMENT_COUNTER');", ''],
    [
      'statement.counter > author.recoveryCounter',
      'statement.counter > (author.counters[0] ?? 0n)',
    ],
  ]),
  ...mutations('T01', 'src/registry/rules/key-rotate.ts', T01, [
    ['checkRecovery([...keys, ...retired], recovery);', ''],
    ['checkRecovery([...keys, ...retired], recovery);', 'checkRecovery(keys, recovery);'],
    ['counters: keys.map((key) => counterOf(author, key)),', 'counters: author.counters,'],
  ]),
  ...mutations('T01', 'src/registry/rules/key-revoke.ts', T01, [
    ['if (release.index < from) break;', ''],
    ['(owned || equal(release.issuer, author))', 'true'],
    ["setRelease(view, line, { ...release, status: 'withdrawn' });", ''],
  ]),
  ...mutations('T01', 'src/registry/rules/line-transfer.ts', T01, [
    ['heir.keys.some((release) => verify(decodeKey(release), agreed, acceptance)),', 'true,'],
    ['heir.recovery.some((own) => equal(own, k))', 'false'],
    ['networkId, from, to, utf8(line)', 'networkId, from, to'],
    ['networkId, from, to, utf8(line)', 'networkId, to, utf8(line)'],
  ]),
  ...mutations('T01', 'src/registry/rules/owned-line.ts', T01, [
    ['OF_DELEGATES.includes(statement.kind) &&', ''],
    ['inForce && equal(keyIdOf(key), keyId)', 'equal(keyIdOf(key), keyId)'],
  ]),
  ...mutations('T02', RECOVERY, T02, OF_RECOVERY),
  ...mutations('T02', LINKS, T02, [
    ['statement.network === hex(networkId)', 'true'],
    ['check(statement.issuer === hex(chain.owner),', 'check(true,'],
    ['check(statement.counter > chain.counter,', 'check(true,'],
    ['check(statement.subject === lineText(line),', 'check(true,'],
    ['check(chain.recovery === null,', 'check(true,'],
    ['check(equal(thumbprint(key), chain.owner),', 'check(true,'],
    ['  authenticate(statement, key);', ''],
    ['recovery: next ?? recovery,', 'recovery,'],
    ['if (!granted) return chain;', 'if (!granted) return { ...chain, keys: [] };'],
    ['from > 0 || delegation !== null ||', 'true || delegation !== null ||'],
    ['delegations.some((entry) => equal(entry, delegation))', 'true'],
    ['keys.some((kid) => equal(kid, keyIdOf(key))),', 'true,'],
  ]),
  ...mutations('T02', 'src/trust/release.ts', T02, [['issuers.includes(claims.issuer)', 'true']]),
  ...mutations('T09', 'src/registry/policy.ts', 'test/attacks/T09-policy.test.ts', [
    ['new Set(ids).size === ids.length', 'true'],
  ]),
];
