/** `firmament suit create|sign|sever|encrypt`: making envelopes and encrypted payloads. */
import { readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { privateKey } from '#crypto';
import { createFile } from '../author/durable-file.ts';
import { hex, text, utf8 } from '../bytes.ts';
import { CIPHERS, sealContent } from '../cose/cipher.ts';
import type { ContentCipher } from '../cose/cipher.ts';
import { KID } from '../cose/claims.ts';
import { createEncrypt } from '../cose/encrypt.ts';
import { thumbprint } from '../cose/key.ts';
import { createMac0 } from '../cose/mac0.ts';
import { createSign1 } from '../cose/sign1.ts';
import type { RecipientInput } from '../cose/recipient.ts';
import { check, fail } from '../errors.ts';
import { checkManifestDigest, manifestOf } from '../suit/authenticate.ts';
import { buildEnvelope, buildManifest, wrap } from '../suit/build.ts';
import type { EnvelopeInput } from '../suit/build.ts';
import { suitDigest } from '../suit/digest.ts';
import { MAX_ENVELOPE_BYTES, parseEnvelope } from '../suit/envelope.ts';
import type { Envelope } from '../suit/envelope.ts';
import { integerJson } from '../suit/inspect.ts';
import type { Json } from '../suit/inspect.ts';
import { SEVERABLE } from '../suit/label.ts';
import { onlyPositional, readArguments, wrong } from './arguments.ts';
import type { Arguments } from './arguments.ts';
import { describedManifest } from './suit-description.ts';
import { EXAMPLE } from './suit-example.ts';
import { readRecipientKey, readSigner, readUpTo } from './suit-keys.ts';
import { Lines } from './terminal-json.ts';
import { parseYaml } from './yaml.ts';

const MAX_DESCRIPTION_BYTES = 1 << 20;
const MODE = 0o644;

/** An envelope that is not signed, from a description in JSON or the YAML of docs/spec/suit-description.md. */
export async function create(args: readonly string[]): Promise<Json | Lines> {
  const given = readArguments(args, ['from', 'out', 'example?']);
  if (given.flag('example')) return new Lines(JSON.stringify(EXAMPLE, null, 2));
  const from = given.required('from');
  const source = text(await readUpTo(from, MAX_DESCRIPTION_BYTES));
  const folder = dirname(resolve(from));
  const { input, severed, integrated, digestAlgorithm } = describedManifest(
    /\.ya?ml$/.test(from) ? parseYaml(source) : parseJson(source),
    (name) => new Uint8Array(readFileSync(resolve(folder, name))),
  );
  const manifest = wrap(buildManifest(input));
  const digest = suitDigest(manifest, digestAlgorithm);
  const envelope = { manifest, digest, severed, integrated, authenticationBlocks: [] };
  return writeEnvelope(given, envelope);
}

function parseJson(source: string): unknown {
  try {
    return JSON.parse(source) as unknown;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : 'not JSON';
    return fail('SUIT_DESCRIPTION_INVALID', message, {}, cause);
  }
}

/** One more authentication block: a signature, or a MAC for a symmetric key. */
export async function signEnvelope(args: readonly string[]): Promise<Json> {
  const given = readArguments(args, ['key', 'out']);
  const envelope = await readEnvelope(given);
  const key = await readSigner(given.required('key'));
  checkManifestDigest(envelope);
  const payload = envelope.digest;
  const block =
    key instanceof Uint8Array
      ? createMac0({ header: new Map(), payload, key, detached: true })
      : createSign1({
          header: new Map([[KID, thumbprint(key.publicKey)]]),
          payload,
          key,
          detached: true,
        });
  const authenticationBlocks = [...envelope.authenticationBlocks, block];
  return writeEnvelope(given, { ...partsOf(envelope), authenticationBlocks });
}

/** Without severed members; the manifest has their digests, so the signature still holds. */
export async function severEnvelope(args: readonly string[]): Promise<Json> {
  const given = readArguments(args, ['member*', 'out']);
  const envelope = await readEnvelope(given);
  const parts = partsOf(envelope);
  const names = given.list('member');
  const severed = new Map(parts.severed);
  for (const [number, name] of SEVERABLE) {
    if (names.length > 0 && !names.includes(name)) continue;
    const there = severed.delete(number);
    check(
      there || names.length === 0,
      'SUIT_SEVERED_ABSENT',
      `${name} does not stand severed in this envelope; a member inside the manifest is signed with it`,
    );
  }
  const unknown = names.find((name) => ![...SEVERABLE.values()].some((each) => each === name));
  if (unknown !== undefined) wrong(`no severable member ${unknown}`);
  return writeEnvelope(given, { ...parts, severed });
}

/** An image encrypted under a new key, and the encryption-info that lets recipients open it. */
export async function encryptImage(args: readonly string[]): Promise<Json> {
  const given = readArguments(args, ['recipient*', 'kid*', 'cipher', 'out', 'info']);
  const image = new Uint8Array(readFileSync(onlyPositional(given, 'image')));
  const cipher = cipherNamed(given.text('cipher') ?? 'A128GCM');
  const files = given.list('recipient');
  const kids = given.list('kid');
  if (files.length === 0) wrong('--recipient is needed: a COSE_Key file, once for each recipient');
  if (kids.length > 0 && kids.length !== files.length)
    wrong('one --kid for each --recipient, or none');
  const recipients: RecipientInput[] = [];
  for (const [i, file] of files.entries()) {
    const key = await readRecipientKey(file);
    const kid = kids[i] === undefined ? {} : { kid: utf8(kids[i]) };
    recipients.push(
      key instanceof Uint8Array
        ? { key, ...kid }
        : { publicKey: key, ephemeral: privateKey('P-256', randomScalar()), ...kid },
    );
  }
  const contentKey = new Uint8Array(randomBytes(CIPHERS[cipher].key));
  const iv = new Uint8Array(randomBytes(CIPHERS[cipher].iv));
  const { bytes, content } = createEncrypt({ cipher, contentKey, iv, recipients });
  const sealed = sealContent(content, contentKey, image);
  await createFile(given.required('out'), sealed, MODE);
  await createFile(given.required('info'), bytes, MODE);
  return {
    cipher,
    recipients: recipients.length,
    plaintextBytes: image.length,
    bytes: sealed.length,
  };
}

function cipherNamed(name: string): ContentCipher {
  const names = Object.keys(CIPHERS) as ContentCipher[];
  return names.find((each) => each === name) ?? wrong(`--cipher is one of ${names.join(', ')}`);
}

/** The top bit cleared: always below the order of P-256, and never 0 but for one chance in 2^255. */
function randomScalar(): Uint8Array {
  const scalar = new Uint8Array(randomBytes(32));
  scalar[0] = (scalar[0] as number) & 0x7f;
  return scalar;
}

async function readEnvelope(given: Arguments): Promise<Envelope> {
  return parseEnvelope(await readUpTo(onlyPositional(given, 'envelope'), MAX_ENVELOPE_BYTES));
}

function partsOf(envelope: Envelope): EnvelopeInput {
  return {
    manifest: envelope.manifestBytes,
    digest: envelope.digest,
    authenticationBlocks: envelope.authenticationBlocks,
    severed: new Map([...envelope.severed].map(([key, { raw }]) => [key, raw])),
    integrated: envelope.integrated,
  };
}

/** What is written is read again first: nothing leaves here that a processor would refuse. */
async function writeEnvelope(given: Arguments, input: EnvelopeInput): Promise<Json> {
  const out = given.required('out');
  const bytes = buildEnvelope(input);
  const envelope = parseEnvelope(bytes);
  const { sequence, images } = manifestOf(envelope);
  await createFile(out, bytes, MODE);
  return {
    digest: hex(envelope.digestBytes),
    sequence: integerJson(sequence),
    bytes: bytes.length,
    images: images.length,
    blocks: envelope.authenticationBlocks.length,
  };
}
