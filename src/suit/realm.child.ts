/**
 * Loads src/suit into a realm that has the language and two classes of the web platform, and nothing of
 * Node: a module or a global of Node's that anything asks for ends it. Prints what the realm answers.
 */
import { readFileSync } from 'node:fs';
import { findPackageJSON, stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import * as vm from 'node:vm';

const SOURCE = dirname(import.meta.dirname);
const VECTORS = join(SOURCE, '..', 'test', 'vectors');
const hexOf = (name: string): string => readFileSync(join(VECTORS, name)).toString('hex');

const context = vm.createContext({ TextEncoder, TextDecoder });
const modules = new Map<string, vm.SourceTextModule>();

/** A file of the project or of a package, as a browser's bundler would pick it. */
function resolved(specifier: string, from: string): string {
  if (specifier === '#crypto') return join(SOURCE, 'crypto', 'portable.ts');
  if (specifier.startsWith('.')) return join(dirname(from), specifier);
  if (specifier.startsWith('node:')) throw new Error(`${from} imports ${specifier}`);
  const [scope = '', name = '', ...rest] = specifier.split('/');
  const bare = scope.startsWith('@') ? `${scope}/${name}` : scope;
  const subpath = scope.startsWith('@')
    ? rest.join('/')
    : [name, ...rest].filter(Boolean).join('/');
  const file = findPackageJSON(bare, from);
  if (file === undefined) throw new Error(`${from} imports ${specifier}`);
  const { exports } = JSON.parse(readFileSync(file, 'utf8')) as {
    readonly exports: Readonly<Record<string, Target>>;
  };
  const target = exports[subpath === '' ? '.' : `./${subpath}`];
  return join(dirname(file), pick(target) ?? `${subpath}.js`);
}

type Target = string | Readonly<Record<string, unknown>> | undefined;

function pick(target: Target): string | undefined {
  if (typeof target !== 'object') return target;
  for (const condition of ['browser', 'import', 'default'])
    if (condition in target) return pick(target[condition] as Target);
  return undefined;
}

function load(path: string): vm.SourceTextModule {
  const known = modules.get(path);
  if (known !== undefined) return known;
  const text = readFileSync(path, 'utf8');
  const code = path.endsWith('.ts') ? stripTypeScriptTypes(text) : text;
  const module = new vm.SourceTextModule(code, { identifier: path, context });
  modules.set(path, module);
  return module;
}

const ENTRY = `
import { decodeForeignKey, decodeWrapKey, decodeMacKey } from './cose/key.ts';
import { authenticate, authenticateWith } from './suit/authenticate.ts';
import { parseEnvelope } from './suit/envelope.ts';
import { inspectEnvelope } from './suit/inspect.ts';
import { diagnose } from './suit/diagnostic.ts';
import { memoryComponents } from './suit/memory-components.ts';
import { processManifest } from './suit/process.ts';
import { createReport, verifyReport } from './suit/report.ts';
import { explainReport } from './suit/explain.ts';
import { privateKey } from './crypto/portable.ts';

export async function answer(input) {
  const { signed, key, encrypted, macKey, kek, payload } = Object.fromEntries(
    Object.entries(input).map(([name, hex]) => [name, Uint8Array.fromHex(hex)]),
  );
  const { manifest } = authenticate(parseEnvelope(signed), [decodeForeignKey(key)]);
  const verified = authenticateWith(parseEnvelope(encrypted), { keys: [], macKeys: [decodeMacKey(macKey)] });
  const components = new Map(verified.manifest.componentIds.map((id) => [id[0].toHex(), null]));
  const port = memoryComponents({
    components,
    payloads: new Map([['coaps://example.com/encrypted-firmware', payload]]),
    identifiers: {},
  });
  const decryptionKeys = [{ kind: 'wrap', key: decodeWrapKey(kek) }];
  const { records } = await processManifest(verified, { sections: ['install'], port, decryptionKeys });
  const device = privateKey('Ed25519', new Uint8Array(32).fill(1));
  const { digest } = verified.envelope;
  const report = { referenceUri: '', digest, nonce: undefined, records, result: true };
  const read = verifyReport(createReport(report, device), device.publicKey).report;
  return JSON.stringify({
    sequence: String(manifest.sequence),
    held: [...components.values()].map((bytes) => new TextDecoder().decode(bytes)),
    told: explainReport(read).at(-1),
    inspected: inspectEnvelope(signed).digestMatches,
    lines: diagnose(signed).length,
    globals: Object.getOwnPropertyNames(globalThis).filter((name) => /^(process|Buffer|require)$/.test(name)),
  });
}
`;

const entry = new vm.SourceTextModule(ENTRY, { identifier: join(SOURCE, 'entry.ts'), context });
await entry.link((specifier, from) => load(resolved(specifier, from.identifier)));
await entry.evaluate();
const { answer } = entry.namespace as {
  readonly answer: (input: Readonly<Record<string, string>>) => Promise<string>;
};
const folder = 'suit/firmware-encryption-24';
process.stdout.write(
  await answer({
    signed: hexOf('suit/manifest-spec-37/example2.signed.suit'),
    key: hexOf('cose/cose_keys/suit-draft-p256.alg-7.pub.cosekey'),
    encrypted: hexOf(`${folder}/suit-manifest-aes-kw.suit`),
    macKey: hexOf('cose/cose_keys/trust_anchor_hmac256_secret.alg5.cosekey'),
    kek: hexOf('cose/cose_keys/trust_anchor_a128_secret_key.alg-3.cosekey'),
    payload: hexOf(`${folder}/encrypted-payload-aes-kw-aes-gcm.bin`),
  }),
);
