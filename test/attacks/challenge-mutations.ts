/** Mutations of challenges: what a cosigner answers, what a reader counts, what a gateway carries (T14). */
import { mutations } from './mutation-list.ts';
import type { Mutation } from './mutations.ts';

const READER = 'test/attacks/T14-challenge.test.ts';
const NODE = 'test/attacks/T14-challenge-node.test.ts';

export const CHALLENGE_MUTATIONS: readonly Mutation[] = [
  ...mutations('T14', 'src/log/challenge.ts', READER, [
    ["check(nonce.length === NONCE_BYTES, 'LOG_CHALLENGE_MALFORMED', 'a nonce has 16 bytes');", ''],
    ['sha256(concat(deviceId, nonce))', 'sha256(concat(nonce))'],
    ['sha256(concat(deviceId, nonce))', 'sha256(concat(deviceId))'],
    ['ORIGIN.test(origin) &&', ''],
    ['isCount(time) &&', ''],
    ["check(about, 'LOG_CHALLENGE_INVALID', 'an answer about another head');", ''],
    ['verify(publicKey, message, answer.signature)', 'message.length > 0'],
    ['${hex(root)} ${hex(hash)}', '${hex(root)}'],
    ['${size} ${hex(root)}', '${size}'],
    ['${time} ${origin}', '${origin}'],
    ['${time} ${origin}', '${time}'],
  ]),
  ...mutations('T14', 'src/trust/challenge.ts', READER, [
    ['const operator = signer.operator.name;', 'const operator = signer.name;'],
  ]),
  ...mutations('T14', 'src/trust/freshness.ts', READER, [
    ['newestFirst(answered)[policy.quorum - 1]', 'newestFirst(answered)[policy.quorum - 2]'],
    ['newestFirst(answered)[policy.quorum - 1]', 'newestFirst(answered)[0]'],
    ['proven.policyAhead\n    ?', 'false\n    ?'],
  ]),
  ...mutations('T14', 'src/device/challenge.ts', READER, [
    ['if (steady() >= end) return undefined;', ''],
    ['if (complete && steady() < end) return judged;', 'if (complete) return judged;'],
    ['random(NONCE_BYTES)', 'new Uint8Array(NONCE_BYTES)'],
    ["freshness.clock === 'gateway clock'", 'true'],
    ["freshness.kind === 'fresh' && freshness.clock === 'nonce'", 'freshness.kind !== undefined'],
  ]),
  ...mutations('T14', 'src/ledger/cosigner-record.ts', NODE, [
    ["check(size > 0, 'COSIGNER_UNSIGNED');", ''],
    [
      "check(this.#allowed, 'COSIGNER_UNCONFIRMED', 'no challenge is answered before it may sign');",
      '',
    ],
    ["check(!replica.halted(), 'LEDGER_HALTED');", ''],
    ['const { size, root } = this.#last;', 'const { size, root } = replica.head();'],
  ]),
  ...mutations('T11', 'src/node/challenge-route.ts', NODE, [
    ['if (freeze) fail(freeze.code);', ''],
    ["check(isListed(parts), 'COSIGNER_UNLISTED');", ''],
    ['own !== undefined && equal(own.node.cosigner.bytes, cosigner)', 'own !== undefined'],
  ]),
  ...mutations('T14', 'src/gateway/challenge-route.ts', NODE, [
    ['wait > 0 || underWay >= MAX_UNDER_WAY', 'wait > 0'],
    ['wait > 0 || underWay >= MAX_UNDER_WAY', 'underWay >= MAX_UNDER_WAY'],
    ["check(right, 'LOG_CHALLENGE_MALFORMED');", ''],
  ]),
  ...mutations('T14', 'src/gateway/challenges.ts', NODE, [
    ['reply.answers.slice(0, 1)', 'reply.answers'],
  ]),
  ...mutations('T14', 'src/api/challenge.ts', NODE, [
    ["check(rows.length <= MAX_ANSWERS, 'CBOR_TYPE', 'more answers than the bound');", ''],
  ]),
];
