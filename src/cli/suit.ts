/** `firmament suit ...`: who signed an envelope, what is in it, how to make and run one. */
import { parseArgs } from 'node:util';
import { hex } from '../bytes.ts';
import { thumbprint } from '../cose/key.ts';
import { FirmamentError } from '../errors.ts';
import { authenticateWith } from '../suit/authenticate.ts';
import type { Trust } from '../suit/authenticate.ts';
import { diagnose } from '../suit/diagnostic.ts';
import { MAX_ENVELOPE_BYTES, parseEnvelope } from '../suit/envelope.ts';
import { inspectEnvelope, integerJson } from '../suit/inspect.ts';
import { claimedRelease } from './release-claims.ts';
import type { Json } from '../suit/inspect.ts';
import { EXIT } from './io.ts';
import type { Io } from './io.ts';
import { readTrust, readUpTo } from './suit-keys.ts';
import { Lines, terminalJson } from './terminal-json.ts';

const USAGE = `Usage: firmament suit verify FILE --key COSE_KEY_FILE [--untagged]
       firmament suit inspect FILE [--diag]
       firmament suit create --from FILE.json|yaml --out FILE, or create --example
       firmament suit sign FILE --key COSE_KEY_FILE --out FILE
       firmament suit sever FILE --out FILE [--member install|text|...]...
       firmament suit encrypt IMAGE --recipient COSE_KEY_FILE... --out FILE --info FILE
                              [--cipher A128GCM|A128CTR|ChaCha20-Poly1305] [--kid TEXT]...
       firmament suit process FILE --key COSE_KEY_FILE... --slots DIR [--vendor UUID|HEX] [--class UUID|HEX]
                              [--component-slot N] [--payload URI=FILE]... [--kek COSE_KEY_FILE]...
                              [--sections install,validate,load,invoke] [--report FILE [--report-key FILE]]
                              [--stored-sequence N] [--now SECONDS] [--battery MWH] [--authorize PRIORITY]
                              [--capabilities] [--untagged]
       firmament suit report FILE [--key COSE_KEY_FILE] [--envelope FILE]

verify   checks the signature or MAC of an envelope: one JSON line, exit 0; or {code, message}, exit 1
inspect  prints everything in the envelope as JSON, without checking its signature; with --diag as
         annotated CBOR diagnostic notation
create   builds an envelope, not signed, from a description (docs/spec/suit-description.md)
sign     adds a signature, or a MAC when the key is symmetric
sever    leaves out severed members; signatures still hold
encrypt  encrypts an image for shared keys (A128KW) or P-256 keys (ECDH-ES+A128KW)
process  runs a manifest against a directory of component files, named by their identifiers in hex:
         one JSON line, exit 0; or {code, message, record}, exit 1. --payload: what lies at a URI.
         Without --battery or --authorize the device has no gauge and nobody to ask.
report   puts a SUIT report in sentences`;

type Verb = (args: readonly string[]) => Promise<Json | Lines>;

// Each is loaded when it is asked for.
const VERBS: ReadonlyMap<string, () => Promise<Verb>> = new Map<string, () => Promise<Verb>>([
  ['create', async () => (await import('./suit-author.ts')).create],
  ['sign', async () => (await import('./suit-author.ts')).signEnvelope],
  ['sever', async () => (await import('./suit-author.ts')).severEnvelope],
  ['encrypt', async () => (await import('./suit-author.ts')).encryptImage],
  ['process', async () => (await import('./suit-process.ts')).processFile],
  ['report', async () => (await import('./suit-report.ts')).explainFile],
]);

/** Exit codes: 0 accepted, one JSON line on stdout; 1 refused, one on stderr; 2 anything else. */
export async function suit(args: readonly string[], io: Io): Promise<number> {
  const verb = VERBS.get(args[0] ?? '');
  if (verb !== undefined && !args.includes('--help') && !args.includes('-h'))
    return runVerb(await verb(), args.slice(1), io);
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
  let trust: Required<Trust> | undefined;
  try {
    bytes = await readUpTo(parsed.file, MAX_ENVELOPE_BYTES);
    if (parsed.keyFile !== undefined) trust = await readTrust([parsed.keyFile]);
  } catch (error) {
    io.stderr(`firmament suit: ${error instanceof Error ? error.message : String(error)}`);
    return EXIT.usage;
  }
  try {
    if (parsed.diagnostic) {
      for (const line of diagnose(bytes)) io.stdout(line);
      return EXIT.ok;
    }
    const answer =
      trust === undefined
        ? {
            ...(inspectEnvelope(bytes) as { readonly [key: string]: Json }),
            release: claimedRelease(bytes) as Json,
          }
        : verify(bytes, trust, parsed.untagged);
    io.stdout(terminalJson(answer, trust === undefined ? 2 : 0));
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof FirmamentError)) throw error;
    io.stderr(terminalJson({ code: error.code, message: error.message }, 0));
    return EXIT.refused;
  }
}

/** Refusals are one JSON line on stderr; so is a file that is not there, with exit code 2. */
async function runVerb(verb: Verb, args: readonly string[], io: Io): Promise<number> {
  try {
    const answer = await verb(args);
    io.stdout(answer instanceof Lines ? answer.text : terminalJson(answer));
    return EXIT.ok;
  } catch (error) {
    const record = error instanceof Error && 'record' in error ? (error.record as Json) : undefined;
    const refusal = record === undefined ? error : (error as Error).cause;
    if (refusal instanceof FirmamentError) {
      const { code, message } = refusal;
      io.stderr(terminalJson({ code, message, ...(record === undefined ? {} : { record }) }));
      return EXIT.refused;
    }
    if (!(error instanceof Error) || !('code' in error)) throw error;
    io.stderr(`firmament suit: ${error.message}`);
    return EXIT.usage;
  }
}

interface Request {
  readonly file: string;
  /** Undefined: inspect. */
  readonly keyFile: string | undefined;
  readonly untagged: boolean;
  readonly diagnostic: boolean;
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
        diag: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { values, positionals } = parsed;
  if (values.help) return 'help';
  const [verb, file, ...rest] = positionals;
  if (verb !== 'verify' && verb !== 'inspect')
    return `one of verify, inspect, ${[...VERBS.keys()].join(', ')} is needed; see --help`;
  if (file === undefined || rest.length > 0) return `${verb} takes one file`;
  if (verb === 'verify' && values.key === undefined) return 'verify needs --key COSE_KEY_FILE';
  if (verb === 'inspect' && values.key !== undefined) return 'inspect takes no --key';
  if (verb === 'verify' && values.diag) return '--diag goes with inspect';
  return { file, keyFile: values.key, untagged: values.untagged, diagnostic: values.diag };
}

function verify(bytes: Uint8Array, trust: Required<Trust>, untagged: boolean): Json {
  const verified = authenticateWith(parseEnvelope(bytes, { untagged }), trust);
  const { envelope, manifest, receipts } = verified;
  const by =
    'mac0' in verified
      ? { algorithm: verified.mac0.algorithm, key: null }
      : { algorithm: verified.sign1.algorithm, key: hex(thumbprint(verified.key)) };
  return {
    digest: hex(envelope.digestBytes),
    sequence: integerJson(manifest.sequence),
    ...by,
    components: manifest.componentIds.length,
    images: manifest.images.map(({ digest, size, uri }) => ({
      digest: hex(digest),
      size: size ?? null,
      uri: uri ?? null,
    })),
    receipts: receipts.length,
  };
}
