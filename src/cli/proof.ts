/** `firmament proof verify`: what an update proof proves to somebody who pins a root. */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { decodeLatest, MAX_LATEST } from '../api/retrieval.ts';
import { fromHex, hex, text } from '../bytes.ts';
import { check, fail, FirmamentError } from '../errors.ts';
import { parseLineText, lineText, type Line } from '../registry/line.ts';
import type { ReleaseOffer } from '../registry/map-value.ts';
import { parseRoot, type Root } from '../registry/root.ts';
import { integerJson } from '../suit/inspect.ts';
import { freshnessText, judgeAge } from '../trust/freshness.ts';
import { offeredAs } from '../trust/offer.ts';
import { decodeProof, verifyProof, type ProvenLine } from '../trust/proof.ts';
import { checkHead, type Head } from '../trust/state.ts';
import { wrong } from './arguments.ts';
import { EXIT, type Io } from './io.ts';

const USAGE = `Usage: firmament proof verify FILE --root FILE [--line AUTHOR/VENDOR/CLASS/TRACK] [--release DIGEST]
                                        [--state FILE] [--now RFC3339]

FILE     the answer of a node to /v1/lines/.../latest, or the update proof alone (then --line is needed)
--root   the network's root, as GET /v1/root gives it and as the reader has reason to believe it
--release  the manifest digest that must be the line's newest, its waypoint, or pending
--state  JSON {"head":{"size":N,"root":HEX},"floor":POSIX SECONDS}: what was believed before
--now    the time to judge the head's age by; this machine's unless given

Exit 0 and one JSON line of what is proven; exit 1 and one JSON line {code, message} on stderr for a refusal;
exit 2 for anything else.`;

interface Request {
  readonly bytes: Uint8Array;
  readonly root: Root;
  readonly line: Line | undefined;
  readonly release: Uint8Array | undefined;
  readonly state: Memory;
  /** POSIX seconds. */
  readonly now: number;
}

interface Memory {
  readonly head: Head | null;
  readonly floor: number;
}

/** Exit codes: 0 proven; 1 refused; 2 anything else. */
export async function proof(args: readonly string[], io: Io): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout(USAGE);
    return EXIT.ok;
  }
  const request = await readRequest(args, io);
  if (!request) return EXIT.usage;
  try {
    const named = nameLine(request);
    if (!named) {
      io.stderr('firmament proof: this is an update proof alone: --line is needed');
      return EXIT.usage;
    }
    io.stdout(JSON.stringify(verify(request, named.line, named.proof)));
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof FirmamentError)) throw error;
    io.stderr(JSON.stringify({ code: error.code, message: error.message }));
    return EXIT.refused;
  }
}

/** Undefined when the command line or a file beside the proof is no good, which was said. */
async function readRequest(args: readonly string[], io: Io): Promise<Request | undefined> {
  try {
    return await parseRequest(args);
  } catch (error) {
    io.stderr(`firmament proof: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

async function parseRequest(args: readonly string[]): Promise<Request> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      root: { type: 'string' },
      line: { type: 'string' },
      release: { type: 'string' },
      state: { type: 'string' },
      now: { type: 'string' },
    },
  });
  const [verb, file, ...rest] = positionals;
  if (verb !== 'verify' || file === undefined || rest.length > 0) wrong('verify takes one file');
  const { root, line, release, state } = values;
  return {
    bytes: new Uint8Array(await readFile(file)),
    root: parseRoot(new Uint8Array(await readFile(root ?? wrong('--root is needed')))),
    line: line === undefined ? undefined : parseLineText(line),
    release: release === undefined ? undefined : fromHex(release, 32),
    state: state === undefined ? { head: null, floor: 0 } : parseMemory(await readFile(state)),
    now: values.now === undefined ? Math.floor(Date.now() / 1000) : seconds(values.now),
  };
}

function seconds(time: string): number {
  const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;
  const ms = rfc3339.test(time) ? Date.parse(time) : Number.NaN;
  return Number.isNaN(ms) ? wrong(`"${time}" is no RFC 3339 time`) : Math.floor(ms / 1000);
}

function parseMemory(bytes: Uint8Array): Memory {
  const json = JSON.parse(text(new Uint8Array(bytes))) as {
    readonly head?: { readonly size?: unknown; readonly root?: unknown } | null;
    readonly floor?: unknown;
  } | null;
  const floor = json?.floor ?? 0;
  const size = json?.head?.size;
  const root = json?.head?.root;
  // A memory that says neither would refuse nothing: then it is another file.
  const says = json?.head !== undefined || json?.floor !== undefined;
  if (json === null || !says || !isCount(floor)) return wrong('the state is not {head, floor}');
  if (json.head === undefined || json.head === null) return { head: null, floor };
  if (!isCount(size) || typeof root !== 'string') return wrong('the state is not {head, floor}');
  return { head: { size, root: fromHex(root, 32) }, floor };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** The line asked for, or the one that a `latest` answer says it is about: the proof decides either way. */
function nameLine(
  request: Request,
): { readonly line: Line; readonly proof: Uint8Array } | undefined {
  const { bytes } = request;
  // A `latest` answer is a CBOR map; an update proof is an array.
  if ((bytes[0] ?? 0) >> 5 !== 5) {
    if (request.line) return { line: request.line, proof: bytes };
    // What is no proof at all is refused, whatever it was asked about.
    decodeProof(bytes);
    return undefined;
  }
  check(bytes.length <= MAX_LATEST, 'TRUST_PROOF_MALFORMED', 'larger than a latest answer');
  const latest = decodeLatest(bytes);
  return { line: request.line ?? latest.line, proof: latest.proof };
}

function verify(
  request: Request,
  line: Line,
  bytes: Uint8Array,
): Readonly<Record<string, unknown>> {
  const proven = verifyProof(request.root, line, bytes);
  checkHead(request.state.head, proven);
  const as =
    request.release && (offeredAs(proven.value, request.release) ?? fail('TRUST_NOT_NEWEST'));
  return { ...describe(proven, request), ...(as && { release: as }) };
}

function describe(proven: ProvenLine, { root, now, state }: Request): Record<string, unknown> {
  const { line, head, epoch, witnesses, value, author } = proven;
  const { freshness } = judgeAge(root.policy, proven, now, state.floor);
  return {
    line: lineText(line),
    head: { size: head.size, root: hex(head.root) },
    epoch: { height: epoch.height, time: epoch.time },
    policy: { version: epoch.policyVersion, ahead: proven.policyAhead },
    operators: witnesses.map(({ operator, time }) => ({ operator, time })),
    newest: offer(value.newest),
    pending: offer(value.pending),
    lowest: integerJson(value.lowest),
    keys: author.keys.map(hex),
    freshness: freshnessText(freshness),
  };
}

function offer(of: ReleaseOffer | null): Record<string, unknown> | null {
  return of && { sequence: integerJson(of.sequence), digest: hex(of.digest) };
}
