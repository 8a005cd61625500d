/** Mutations of what tells a commit of CometBFT's validators from everything that looks like one. */
import { mutations } from './mutation-list.ts';
import type { Mutation } from './mutations.ts';

const COMMIT = 'test/attacks/T31-commit.test.ts';
const LIGHT = 'test/attacks/T31-light.test.ts';
const SHAPE = 'src/light/certificate.test.ts';

export const LIGHT_MUTATIONS: readonly Mutation[] = [
  ...mutations('T31', 'src/light/verify.ts', COMMIT, [
    ['header.chainId === chainId', 'true'],
    ['commit.height === header.height', 'true'],
    ['equal(commit.blockId.hash, headerHash(header))', 'true'],
    ['equal(header.validatorsHash, setHash(set))', 'true'],
    ['commit.votes.length === set.members.length', 'true'],
    ['equal(vote.address, member.address)', 'true'],
    ["check(valid, 'COMMIT_SIGNATURE_INVALID', undefined, { index });", 'void valid;'],
    ['|| isZip215Signature(key.bytes, message, vote.signature)', ''],
    ['power * 3n > set.power * 2n', 'power * 3n >= set.power * 2n'],
    ['!counted.has(member)', 'true'],
    [
      `    if (vote.kind !== 'commit') continue;
    const member = set.members`,
      `    if (vote.kind === 'absent') continue;
    const member = set.members`,
    ],
    [
      `    if (vote.kind !== 'commit') continue;
    const member = members`,
      `    if (vote.kind === 'absent') continue;
    const member = members`,
    ],
  ]),
  ...mutations('T31', 'src/light/commit.ts', COMMIT, [
    ['round: BigInt(commit.round),\n      blockId', 'round: 0n,\n      blockId'],
    ['partSetHeader: parts }', 'partSetHeader: { total: 1, hash: parts.hash } }'],
    ['      chainId,\n    }),', "      chainId: '',\n    }),"],
  ]),
  ...mutations('T31', 'src/light/validators.ts', COMMIT, [
    ['!seen.has(name)', 'true'],
    ['own > 0n && own <= MAX_POWER', 'true'],
    ["check(power <= MAX_POWER, 'COMMIT_SET_INVALID', 'more power than CometBFT counts');", ''],
    ['checkPublicKey(key);', 'void checkPublicKey;'],
    ["key.curve === 'Ed25519'", 'true'],
    ['list.length > 0 && list.length <= MAX_VALIDATORS', 'true'],
  ]),
  ...mutations('T31', 'src/light/light-block.ts', LIGHT, [
    ['equal(headerHash(block.certificate.header), hash)', 'true'],
    [
      `  const set = validatorSet(validators);
  verifyCommitOfSet(certificate, set, chainId);`,
      '  const set = validatorSet(validators);',
    ],
    ["check(own, 'COMMIT_SET');", ''],
    ['checkFresh(earlier, options, now);', ''],
    ['header.height > earlier.height', 'true'],
    ['nanoseconds(header.time) > nanoseconds(earlier.time)', 'true'],
    ['nanoseconds(header.time) < latest', 'true'],
    ['equal(earlier.nextValidatorsHash, header.validatorsHash)', 'true'],
    ['power * denominator > from.set.power * numerator', 'true'],
    [
      'power * denominator > from.set.power * numerator',
      'power * denominator >= from.set.power * numerator',
    ],
    ['  checkBelongs(certificate, set, options.chainId);\n', ''],
    ['  verifyCommitOfSet(certificate, set, options.chainId);', '  void verifyCommitOfSet;'],
    ['equal(headerHash(header), later.lastBlockId.hash)', 'true'],
    ['checkFresh(later, options, now);', ''],
    ["check(header.chainId === options.chainId, 'COMMIT_CHAIN');", ''],
    ['header.height + 1n === later.height', 'true'],
    ['nanoseconds(header.time) < nanoseconds(later.time)', 'true'],
  ]),
  ...mutations('T31', 'src/light/light-client.ts', LIGHT, [
    ['block.certificate.header.height === height', 'true'],
  ]),
  ...mutations('T31', 'src/light/certificate.ts', SHAPE, [
    ['bytes.length <= MAX_CERTIFICATE', 'true'],
    ['equal(encodeCertificate(certificate), bytes)', 'true'],
  ]),
  ...mutations('T31', 'src/light/header.ts', SHAPE, [
    ['hash.length === 0 || hash.length === HASH_LENGTH', 'true'],
    ['version.block === BLOCK_PROTOCOL', 'true'],
    [
      "hash.length === HASH_LENGTH, 'COMMIT_MALFORMED', 'no hash",
      "true, 'COMMIT_MALFORMED', 'no hash",
    ],
    ['proposer.length === ADDRESS_LENGTH', 'true'],
  ]),
  ...mutations('T31', 'src/light/commit.ts', SHAPE, [
    ['height > 0n && round >= 0', 'true'],
    ['some && blockId.parts.total > 0', 'true'],
    ['signatures.length > 0', 'true'],
    ['signature.length === SIGNATURE_LENGTH', 'true'],
    ['address.length === ADDRESS_LENGTH', 'true'],
    ['zero && address.length === 0 && signature.length === 0', 'true'],
  ]),
];
