/** Mutations of what keeps a manifest from doing what nobody signed, and a device from using what nothing proves. */
import type { Mutation } from './mutations.ts';

function mutations(
  file: string,
  test: string,
  edits: readonly (readonly [find: string, replace: string])[],
): readonly Mutation[] {
  return edits.map(([find, replace]) => ({ rule: 'T17', file, find, replace, tests: [test] }));
}

const DEPENDENCY = 'src/suit/dependency.test.ts';
const ENCRYPTION = 'src/suit/encryption.test.ts';
const REFUSALS = 'src/suit/refusals.test.ts';

export const SUIT_MUTATIONS: readonly Mutation[] = [
  ...mutations('src/suit/authenticate.ts', REFUSALS, [
    ['verifyMac0(block.mac0, key, digest)', 'void key'],
    ['verifySign1(block.sign1, key, digest)', 'void key'],
    ['if (++checks > MAX_CHECKS)', 'if (false)'],
  ]),
  ...mutations('src/suit/authenticate.ts', DEPENDENCY, [
    ['image.encrypted || namesManifest(image, payload)', 'true'],
  ]),
  ...mutations('src/suit/dependency.ts', DEPENDENCY, [
    ["check(of.manifest.dependencies.has(index), 'SUIT_NOT_DEPENDENCY');\n    check(", 'check('],
    ['of.path.length < MAX_DEPENDENCY_DEPTH', 'true'],
    ['++this.#checks <= MAX_DEPENDENCY_CHECKS', 'true'],
    ['equal(envelope.digestBytes, imageDigest.bytes)', 'true'],
    ['await this.#port.has(each)', 'true'],
    ['known.delete(key)', 'void key'],
    ['[this.#checked, this.#matched]', '[this.#checked]'],
    ['of.processed.has(index) ||', 'true ||'],
  ]),
  ...mutations('src/suit/interpreter.ts', DEPENDENCY, [
    ["if (name === 'unlink' && isDependency)", 'if (false)'],
    ['this.#dependencies.forget(target);', ''],
    ['this.#dependencies.forget(from);', ''],
    ['this.#dependencies.checkProcessed(running, section);', ''],
  ]),
  ...mutations('src/suit/interpreter.ts', ENCRYPTION, [
    ['this.#proven.checkAll();', ''],
    ["if (name === 'invoke' || name === 'swap') this.#proven.check(target);", ''],
    ['if (from !== undefined) this.#proven.check(from);', ''],
  ]),
  ...mutations('src/suit/proven-contents.ts', ENCRYPTION, [
    ['this.#matched.delete(name);', ''],
    ['source !== undefined && this.#matched.has(source)', 'source !== undefined'],
  ]),
  ...mutations('src/suit/decrypt.ts', ENCRYPTION, [
    ['length <= maxBytes + CIPHERS[cipher].tag', 'true'],
    [
      "check(keys.length > 0, 'SUIT_CAPABILITY_MISSING', 'the device has no key to decrypt with');",
      '',
    ],
  ]),
  ...mutations('src/crypto/aead.ts', 'src/crypto/stream.test.ts', [
    ['held.length === TAG_LENGTH', 'true'],
  ]),
  ...mutations('src/crypto/portable-stream.ts', 'src/crypto/stream.test.ts', [
    ['equalBytes(authenticator.tag(), tag)', 'true'],
  ]),
  ...mutations('src/crypto/key.ts', 'src/crypto/stream.test.ts', [
    ["key.curve === 'P-256' && peer.curve === 'P-256'", 'true'],
  ]),
  ...mutations('src/cose/recipient.ts', 'src/cose/encrypt.test.ts', [
    ['found?.length === length', 'found !== undefined'],
  ]),
  ...mutations('src/suit/conditions.ts', 'src/suit/update-management.test.ts', [
    ['now < until', 'true'],
    ['level >= least', 'true'],
    ['!equal(held.digest, bytes)', 'true'],
    ['versionMatches(versionMatch, version)', 'true'],
    ['await port.authorize(updatePriority)', 'true'],
  ]),
  ...mutations('src/suit/interpreter.ts', 'src/suit/update-management.test.ts', [
    ['!Object.hasOwn(set, name)', 'true'],
  ]),
  ...mutations('src/suit/wait.ts', 'src/suit/update-management.test.ts', [
    ["check(here, 'SUIT_WAITING'", "check(true, 'SUIT_WAITING'"],
  ]),
];
