/** `firmament suit verify|inspect`: who signed an envelope, and what is in it. */
import { createReadStream } from 'node:fs';
import { parseArgs } from 'node:util';
import { concat, hex } from '../bytes.ts';
import { decodeForeignKey, thumbprint } from '../cose/key.ts';
import type { PublicKey } from '../crypto/key.ts';
import { FirmamentError } from '../errors.ts';
import { authenticate } from '../suit/authenticate.ts';
import { MAX_ENVELOPE_BYTES, parseEnvelope } from '../suit/envelope.ts';
import { inspectEnvelope, integerJson } from '../suit/inspect.ts';
import type { Json } from '../suit/inspect.ts';
import { EXIT } from './io.ts';
import { claimedRelease } from './release-claims.ts';
import type { Io } from './io.ts';

const USAGE = [
  'Usage: firmament suit verify FILE --key COSE_KEY_FILE [--untagged]',
  '       firmament suit inspect FILE',
  '',
  'verify   checks the signature of a SUIT envelope: one JSON line, exit 0; or {code, message}, exit 1',
  'inspect  prints everything in the envelope as JSON, without checking its signature',
].join('\n');

/** Exit codes: 0 accepted, one JSON line on stdout; 1 refused, one on stderr; 2 anything else. */
export async function suit(args: readonly string[], io: Io): Promise<number> {
  const parsed = parse(args);
  if (parsed === 'help') {
    io.stdout(USAGE);
    return EXIT.ok;
  }
  if (typeof parsed === 'string') {
    io.stderr(`firmament suit: ${parsed}`);
    return EXIT.usage;
  }
  let bytes: Uint8Array;
  let key: PublicKey | undefined;
  try {
    bytes = await read(parsed.file);
    if (parsed.keyFile !== undefined) key = decodeForeignKey(await read(parsed.keyFile));
  } catch (error) {
    io.stderr(`firmament suit: ${error instanceof Error ? error.message : String(error)}`);
    return EXIT.usage;
  }
  try {
    const answer = key === undefined ? inspect(bytes) : verify(bytes, key, parsed.untagged);
    io.stdout(toJson(answer, key === undefined ? 2 : 0));
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof FirmamentError)) throw error;
    io.stderr(toJson({ code: error.code, message: error.message }, 0));
    return EXIT.refused;
  }
}

interface Request {
  readonly file: string;
  /** Undefined: inspect. */
  readonly keyFile: string | undefined;
  readonly untagged: boolean;
}

/** The request, `help`, or what is wrong with the arguments. */
function parse(args: readonly string[]): Request | string {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        key: { type: 'string' },
        untagged: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { values, positionals } = parsed;
  if (values.help) return 'help';
  const [verb, file, ...rest] = positionals;
  if (verb !== 'verify' && verb !== 'inspect') return 'verify or inspect? see --help';
  if (file === undefined || rest.length > 0) return `${verb} takes one file`;
  if (verb === 'verify' && values.key === undefined) return 'verify needs --key COSE_KEY_FILE';
  if (verb === 'inspect' && values.key !== undefined) return 'inspect takes no --key';
  return { file, keyFile: values.key, untagged: values.untagged };
}

/** A file, read no further than an envelope may be long; parseEnvelope refuses a longer one. */
async function read(path: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const stream = createReadStream(path, { end: MAX_ENVELOPE_BYTES });
  for await (const chunk of stream) chunks.push(chunk as Uint8Array);
  return concat(...chunks);
}

/** Controls, format characters and separators as \u escapes: a terminal would obey or hide them. */
function toJson(value: Json, indent: number): string {
  return JSON.stringify(value, null, indent).replaceAll(HIDDEN, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

// A newline is of the indentation: inside a string JSON has it escaped already.
const HIDDEN = /[^\P{C}\n]|[\p{Zl}\p{Zp}]/gu;

// `release`: what the author of one of our releases says of it.
function inspect(bytes: Uint8Array): Json {
  const content = inspectEnvelope(bytes) as { readonly [key: string]: Json };
  const release = claimedRelease(bytes);
  return { ...content, release: release && { ...release } };
}

function verify(bytes: Uint8Array, key: PublicKey, untagged: boolean): Json {
  const verified = authenticate(parseEnvelope(bytes, { untagged }), [key]);
  const { envelope, manifest, sign1, receipts } = verified;
  return {
    digest: hex(envelope.digestBytes),
    sequence: integerJson(manifest.sequence),
    algorithm: sign1.algorithm,
    key: hex(thumbprint(key)),
    components: manifest.componentIds.length,
    images: manifest.images.map(({ digest, size, uri }) => ({
      digest: hex(digest),
      size: size ?? null,
      uri: uri ?? null,
    })),
    receipts: receipts.length,
  };
}
