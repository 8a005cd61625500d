/** Mutations of what a PSK author's MAC and its devices rest on (T07). */
import type { Mutation } from './mutations.ts';

const PSK = 'test/attacks/T07-psk.test.ts';
const SECRET = 'test/attacks/T07-secret.test.ts';

function mutations(
  file: string,
  test: string,
  edits: readonly (readonly [find: string, replace: string])[],
): readonly Mutation[] {
  return edits.map(([find, replace]) => ({ rule: 'T07', file, find, replace, tests: [test] }));
}

export const PSK_MUTATIONS: readonly Mutation[] = [
  ...mutations('src/registry/policy.ts', 'test/attacks/T09-policy.test.ts', [
    ["!policy.pskAuthors || policy.mode === 'private'", 'true'],
  ]),
  ...mutations('src/registry/rules/author-register.ts', PSK, [
    ['registration.psk === null || policy.pskAuthors', 'true'],
    ["asBytes(get(6), 'PSK key id', PSK_ID_BYTES)", "asBytes(get(6), 'PSK key id', { max: 32 })"],
  ]),
  ...mutations('src/registry/rules/release-register.ts', PSK, [
    ['(mac === undefined) === (keyId === undefined)', 'true'],
    ['if (mac && keyId) checkReleaseMac(mac, keyId);', ''],
  ]),
  ...mutations('src/registry/psk.ts', 'src/registry/psk.test.ts', [
    ['header.size === 2 &&', 'true &&'],
    ['unprotected.size === 0 &&', 'true &&'],
    ['payload === null,', 'true,'],
    ["check(isMacOf(mac, keyId), 'RELEASE_CLAIMS'", "check(true, 'RELEASE_CLAIMS'"],
  ]),
  ...mutations('src/registry/psk.ts', SECRET, [
    [
      "sha256(concat(utf8('firmament/psk/v1'), key)).slice(0, PSK_ID_BYTES)",
      "concat(key, utf8('')).slice(0, PSK_ID_BYTES)",
    ],
  ]),
  ...mutations('src/registry/claims.ts', PSK, [
    ["asBytes(mac, 'mac', { max: 256 })", "asBytes(mac, 'mac')"],
  ]),
  ...mutations('src/author/publish.ts', PSK, [['checkPskAllowed(author, network.root);', '']]),
  ...mutations('src/author/author.ts', PSK, [
    ['checkPskAllowed(author, root);', ''],
    ['psk === undefined || policy.pskAuthors', 'true'],
  ]),
  ...mutations('src/trust/release.ts', PSK, [
    ['checkMacHere(parsed, release);', ''],
    ['if (psk) checkMac(parsed, psk);', ''],
    ["check(macs.length > 0, 'TRUST_MAC_MISSING');", ''],
    ['macs.some(verifies)', 'true'],
    ['isMacOf(block.mac0, psk.keyId)', 'true'],
  ]),
  ...mutations('src/trust/accept.ts', PSK, [['psk: followed.psk,', 'psk: undefined,']]),
  ...mutations('src/device/trust-memory.ts', PSK, [
    ['named && psk ? equal(named, psk.keyId) : named === psk', 'true'],
    ['...(psk && { psk })', ''],
  ]),
  ...mutations('src/device/provision.ts', PSK, [['authors.size === 1', 'true']]),
];
