import { BATCH_MUTATIONS } from './batch-mutations.ts';
import { CHALLENGE_MUTATIONS } from './challenge-mutations.ts';
import { CONSENSUS_MUTATIONS } from './consensus-mutations.ts';
import { CRASH_MUTATIONS } from './crash-mutations.ts';
import { DEMO_MUTATIONS } from './demo-mutations.ts';
import { ENGINE_MUTATIONS } from './engine-mutations.ts';
import { GATEWAY_DEVICE_MUTATIONS } from './gateway-device-mutations.ts';
import { GATEWAY_EDGE_MUTATIONS } from './gateway-edge-mutations.ts';
import { GATEWAY_MUTATIONS } from './gateway-mutations.ts';
import { KEY_MUTATIONS } from './key-mutations.ts';
import { LEDGER_MUTATIONS } from './ledger-mutations.ts';
import { LIGHT_MUTATIONS } from './light-mutations.ts';
import { NODE_ENGINE_MUTATIONS } from './node-engine-mutations.ts';
import { NODE_MUTATIONS } from './node-mutations.ts';
import { OPERATION_MUTATIONS } from './operation-mutations.ts';
import { POLICY_MUTATIONS } from './policy-mutations.ts';
import { PSK_MUTATIONS } from './psk-mutations.ts';
import { STREAM_MUTATIONS } from './stream-mutations.ts';
import { SUIT_MUTATIONS } from './suit-mutations.ts';
import { TIME_MUTATIONS } from './time-mutations.ts';

/**
 * Every security check that a rule of docs/threats.md rests on, with the edit that takes it out and
 * the tests that must then fail. `npm run mutate` runs the list.
 */
export interface Mutation {
  /** The rule of docs/threats.md: T06. */
  readonly rule: string;
  readonly file: string;
  /** Source text that occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** Test files, of which at least one must fail. */
  readonly tests: readonly string[];
  /** Runs only the tests whose names match. */
  readonly pattern?: string;
}

/** Edits of one file, each of which a test of the same file must notice: [find, replace]. */
function edits(
  rule: string,
  file: string,
  test: string,
  pairs: readonly (readonly [find: string, replace: string])[],
): readonly Mutation[] {
  return pairs.map(([find, replace]) => ({ rule, file, find, replace, tests: [test] }));
}

export const MUTATIONS: readonly Mutation[] = [
  ...BATCH_MUTATIONS,
  ...TIME_MUTATIONS,
  ...CHALLENGE_MUTATIONS,
  ...KEY_MUTATIONS,
  ...GATEWAY_DEVICE_MUTATIONS,
  ...GATEWAY_EDGE_MUTATIONS,
  ...GATEWAY_MUTATIONS,
  ...LEDGER_MUTATIONS,
  ...CONSENSUS_MUTATIONS,
  ...LIGHT_MUTATIONS,
  ...STREAM_MUTATIONS,
  ...SUIT_MUTATIONS,
  ...POLICY_MUTATIONS,
  ...PSK_MUTATIONS,
  ...ENGINE_MUTATIONS,
  ...NODE_ENGINE_MUTATIONS,
  ...NODE_MUTATIONS,
  ...OPERATION_MUTATIONS,
  ...DEMO_MUTATIONS,
  ...CRASH_MUTATIONS,
  ...edits('T03', 'src/registry/line.ts', 'test/attacks/T03-lines.test.ts', [
    [
      'concat(line.author, line.vendor, line.class, utf8(line.track))',
      'concat(line.vendor, line.class, utf8(line.track))',
    ],
  ]),
  ...edits('T03', 'src/registry/apply.ts', 'test/attacks/T03-lines.test.ts', [
    ["if (kind === 'line.declare') check(subject.startsWith(`${issuer}/`), 'LINE_FOREIGN');", ''],
  ]),
  ...edits('T03', 'src/registry/rules/owned-line.ts', 'test/attacks/T03-lines.test.ts', [
    ["check(owned || delegated, 'LINE_FOREIGN');", ''],
  ]),
  ...edits('T03', 'src/registry/rules/line-declare.ts', 'test/attacks/T03-lines.test.ts', [
    ["check(statement.subject === lineText(line), 'STATEMENT_SUBJECT');", ''],
    ["check(getLine(view, key) === undefined, 'LINE_EXISTS');", ''],
  ]),
  ...edits('T04', 'src/registry/apply.ts', 'test/attacks/T04-meaning.test.ts', [
    ["check(statement.network === hex(networkId), 'STATEMENT_NETWORK');", ''],
    ["check(statement.counter > (author.counters[position] ?? 0n), 'STATEMENT_COUNTER');", ''],
    ["check(statement.counter > getNodeCounter(view, node.name), 'STATEMENT_COUNTER');", ''],
  ]),
  ...edits('T04', 'src/registry/authenticate.ts', 'test/attacks/T04-meaning.test.ts', [
    ['equal(statement.keyId, keyId)', 'true'],
    ['verifySign1(statement.sign1, key);', ''],
  ]),
  ...edits('T04', 'src/registry/rules/release-register.ts', 'test/attacks/T04-meaning.test.ts', [
    ['equal(vendorId, line.vendor) && equal(classId, line.class)', 'true'],
    ['manifest.sequence === statement.counter', 'true'],
  ]),
  ...edits('T04', 'src/registry/claims.ts', 'test/attacks/T04-meaning.test.ts', [
    [
      "onlyKeys(header, [label.ALG, label.KID, label.CWT_CLAIMS, label.TYP], 'protected header');",
      '',
    ],
    [
      "onlyKeys(claims, kind === 'release' ? [...COMMON, ...OF_A_RELEASE] : COMMON, 'CWT claims');",
      '',
    ],
  ]),
  ...edits('T05', 'src/registry/statement.ts', 'test/attacks/T05-encoding.test.ts', [
    ['sign1.unprotected.size === 0', 'true'],
    ['sign1.protectedBytes.length <= MAX_PROTECTED', 'true'],
  ]),
  ...edits('T05', 'src/registry/authenticate.ts', 'test/attacks/T05-encoding.test.ts', [
    ["curveOf(statement.sign1.algorithm) !== 'P-256' || isLowS(statement.sign1.signature)", 'true'],
  ]),
  ...edits('T05', 'src/cose/sign1.ts', 'test/attacks/T05-encoding.test.ts', [
    ['check(signature.length === SIGNATURE_LENGTH,', 'check(true,'],
  ]),
  ...edits('T06', 'src/crypto/ed25519.ts', 'src/crypto/signature.test.ts', [
    ['return y < P ? y : undefined;', 'return y;'],
    ['check(!SMALL_ORDER_Y.has(y),', 'check(true,'],
    ['return y !== undefined && !SMALL_ORDER_Y.has(y);', 'return y !== undefined;'],
    ['littleEndian(signature.subarray(32)) >= L', 'false'],
  ]),
  ...edits('T09', 'src/registry/policy.ts', 'test/attacks/T09-policy.test.ts', [
    ['2 * k - n > f', 'true'],
    ['n - 1 >= k ||', 'true ||'],
    ['check(n <= 2,', 'check(true,'],
    ['check(n >= 3,', 'check(true,'],
    ['policy.copiesElsewhere >= 1', 'true'],
  ]),
  ...edits('T09', 'src/trust/quorum.ts', 'test/attacks/T17-accept.test.ts', [
    ['verifyCosignature(signer.node.cosigner, signer.name, checkpoint, cosignature);', ''],
    ['const operator = signer.operator.name;', 'const operator = signer.name;'],
    ['newest.size >= root.policy.quorum', 'true'],
  ]),
  ...edits('T13', 'src/registry/policy.ts', 'test/attacks/T09-policy.test.ts', [
    ['check(twice === undefined,', 'check(true,'],
  ]),
  ...edits('T15', 'src/trust/proof.ts', 'test/attacks/T17-accept.test.ts', [
    ['epochEntry(epoch)', 'epochEntry({ ...epoch, stateRoot: epoch.mapRoot })'],
    ['epoch.policyVersion >= pinned', 'true'],
    ['epoch.policyVersion > pinned || equal(epoch.policyHash, root.hash)', 'true'],
  ]),
  ...edits('T16', 'src/registry/newest.ts', 'test/attacks/T16-newest.test.ts', [
    ['operators.length >= policy.copies &&', 'true &&'],
    ['elsewhere.length >= policy.copiesElsewhere', 'true'],
    ['operator.name !== author.operator', 'true'],
    ['found && found.sequence >= line.lowest ? found : null', 'found'],
  ]),
  ...edits('T16', 'src/registry/rules/release-withdraw.ts', 'test/attacks/T16-newest.test.ts', [
    ["check(lowest >= record.lowest && lowest <= last + 1n, 'RELEASE_LOWEST');", ''],
    ["setRelease(view, key, { ...release, status: 'withdrawn' });", ''],
  ]),
  ...edits('T16', 'src/registry/rules/release-register.ts', 'test/attacks/T16-newest.test.ts', [
    ['statement.counter > before &&', 'true &&'],
    ['statement.counter <= before + MAX_STEP', 'true'],
  ]),
  ...edits('T16', 'src/trust/accept.ts', 'test/attacks/T17-accept.test.ts', [
    ["check(sequence >= lowest, 'TRUST_WITHDRAWN',", "check(true, 'TRUST_WITHDRAWN',"],
  ]),
  ...edits('T17', 'src/trust/accept.ts', 'test/attacks/T17-accept.test.ts', [
    ['checkHead(state.head, proven);', ''],
    ['proven.value.lowest >= lowest', 'true'],
    ["check(as !== undefined, 'TRUST_NOT_NEWEST',", "check(true, 'TRUST_NOT_NEWEST',"],
    ["as !== 'pending' || imageInHand", 'true'],
    ['checkSequence(judged, release, confirmed);', ''],
    ['(same && sequence === confirmed.sequence)', 'sequence === confirmed.sequence'],
  ]),
  ...edits('T17', 'src/trust/state.ts', 'test/attacks/T17-accept.test.ts', [
    ['proven.head.size >= stored.size', 'true'],
    ['proven.head.size > stored.size || equal(proven.head.root, stored.root)', 'true'],
  ]),
  ...edits('T17', 'src/trust/proof.ts', 'test/attacks/T17-accept.test.ts', [
    ['equal(sha256(bytes), line.authorHash)', 'true'],
  ]),
  ...edits('T17', 'src/trust/freshness.ts', 'test/attacks/T17-accept.test.ts', [
    ['time < clock - policy.maxAge', 'false'],
    ['Math.max(now, floor)', 'now'],
  ]),
  ...edits('T17', 'src/trust/release.ts', 'test/attacks/T17-accept.test.ts', [
    ['claims.subject === lineText(proven.line)', 'true'],
    ['issuers.includes(claims.issuer)', 'true'],
    ['claims.network === hex(proven.networkId)', 'true'],
    ['equal(vendorId, vendor) && equal(classId, cls)', 'true'],
    ['manifest.sequence === claims.counter', 'true'],
  ]),
  ...edits('T20', 'src/registry/apply.ts', 'test/attacks/T20-attachment.test.ts', [
    ["check((attachment !== null) === (statement.kind === 'release'), 'ATTACHMENT_MISSING');", ''],
  ]),
  ...edits('T20', 'src/registry/rules/release-register.ts', 'test/attacks/T20-attachment.test.ts', [
    ["check(equal(sha256(attachment), bytes), 'ATTACHMENT_MISMATCH');", ''],
  ]),
  ...edits('T29', 'src/trust/accept.ts', 'test/attacks/T17-accept.test.ts', [
    [
      "const followed = provision.lines[position] ?? fail('TRUST_UNPROVISIONED');",
      'const followed = provision.lines[position]!;',
    ],
  ]),
  ...edits('T29', 'src/trust/accept.ts', 'test/attacks/T17-accept.test.ts', [
    ['equal(thumbprint(anchor), line.author)', 'true'],
  ]),
];
