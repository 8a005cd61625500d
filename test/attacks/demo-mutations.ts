/** The checks that stop the attacks of the demo, and of whoever stands in a node's place. */
import type { Mutation } from './mutations.ts';

type Edit = readonly [file: string, find: string, replace: string];

function against(rule: string, test: string, edits: readonly Edit[]): readonly Mutation[] {
  const tests = [`test/attacks/${test}.test.ts`];
  return edits.map(([file, find, replace]) => ({ rule, file, find, replace, tests }));
}

const ACCEPT = 'src/trust/accept.ts';
const QUORUM = 'src/trust/quorum.ts';
const AUTHENTICATE = 'src/suit/authenticate.ts';
const SIGNATURE = 'src/cose/sign1.ts';
const COSIGNED = 'verifyCosignature(signer.node.cosigner, signer.name, checkpoint, cosignature);';

export const DEMO_MUTATIONS: readonly Mutation[] = [
  ...against('T17', 'T17-forged-image', [
    ['src/reader/download.ts', 'if (part.digest() === sha256) {', 'if (size > 0) {'],
  ]),
  ...against('T04', 'T04-forged-manifest', [
    [AUTHENTICATE, '  checkManifestDigest(envelope);\n  const blocks', '  const blocks'],
    [SIGNATURE, "check(valid, 'COSE_SIGNATURE_INVALID');", ''],
  ]),
  ...against('T17', 'T17-old-release', [
    [ACCEPT, "check(as !== undefined, 'TRUST_NOT_NEWEST',", "check(true, 'TRUST_NOT_NEWEST',"],
    [ACCEPT, "check(asked, 'TRUST_NOT_NEWEST',", "check(true, 'TRUST_NOT_NEWEST',"],
  ]),
  ...against('T16', 'T16-withdrawn-release', [
    [ACCEPT, "check(sequence >= lowest, 'TRUST_WITHDRAWN',", "check(true, 'TRUST_WITHDRAWN',"],
  ]),
  ...against('T17', 'T17-stale-head', [
    [ACCEPT, 'checkHead(state.head, proven);', ''],
    [
      'src/device/agent.ts',
      'await state.update((before) => remember(provisioning, before, position, accepted.state));',
      '',
    ],
  ]),
  ...against('T17', 'T17-fork', [
    [
      'src/trust/state.ts',
      "check(proven.head.size > stored.size || equal(proven.head.root, stored.root), 'TRUST_HEAD_FORK');",
      '',
    ],
    [QUORUM, 'newest.size >= root.policy.quorum', 'true'],
  ]),
  ...against('T16', 'T16-tampered-block', [
    ['src/store/disk.ts', '      verifyBlock(cid, bytes);\n    } catch {', '    } catch {'],
    ['src/store/fetch.ts', '      verifyBlock(job.cid, bytes);\n', ''],
  ]),
  ...against('T03', 'T03-foreign-line', [
    ['src/registry/rules/owned-line.ts', "check(owned || delegated, 'LINE_FOREIGN');", ''],
    [QUORUM, COSIGNED, ''],
    [SIGNATURE, "check(valid, 'COSE_SIGNATURE_INVALID');", ''],
  ]),
  ...against('T19', 'T19-power-cut', [
    ['src/device/record.ts', '  await files.sync(fresh);\n', ''],
    ['src/device/record.ts', '  await files.syncFolder(folder);\n', ''],
  ]),
  ...[
    'await this.#save(clearInactive(this.#state));',
    '!(await this.#holds(file, incoming.image))',
  ].map((find): Mutation => ({
    rule: 'T19',
    file: 'src/device/slots.ts',
    find,
    replace: find.startsWith('!') ? 'false' : '',
    tests: ['src/device/slots.test.ts'],
  })),
  ...against('T13', 'T13-receipts', [
    ['src/node/heads.ts', 'own && equal(own.root, found.head.root)', 'true'],
    [QUORUM, 'newest.size >= root.policy.quorum', 'true'],
  ]),
  ...against('T15', 'T17-accept', [
    ['src/trust/proof.ts', 'index: proof.size - 1,', 'index: Math.max(0, proof.size - 3),'],
  ]),
  ...against('T29', 'T29-provisioning', [
    [
      'src/device/provision.ts',
      "fields['vendorId'] === vendorId && fields['classId'] === classId",
      'true',
    ],
    ['src/device/provision.ts', "check(lines.length > 0, CODE, 'no line to follow');", ''],
    ['src/device/state.ts', 'floor: Math.max(kept.floor, floor)', 'floor: kept.floor'],
    ['src/device/state.ts', "kept(after.floor >= before.floor, 'the time floor');", ''],
    [QUORUM, COSIGNED, ''],
  ]),
];
