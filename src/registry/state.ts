/**
 * The registry's records: what each is called and how it is written. Every record is part of the
 * state root (T15); values are deterministic CBOR that this file alone writes and reads.
 */
import { equal, hex } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import type { Cbor } from '../cbor/value.ts';
import { fail } from '../errors.ts';
import { parseRoot, type Root } from './root.ts';
import type { View } from './view.ts';

export interface AuthorRecord {
  readonly id: Uint8Array;
  /** COSE_Key bytes of the release keys that may sign. */
  readonly keys: readonly Uint8Array[];
  /** COSE_Key bytes of keys that may sign no more, whose earlier releases stand. */
  readonly retired: readonly Uint8Array[];
  readonly recovery: readonly Uint8Array[];
  readonly threshold: number;
  readonly name: string;
  /** The operator that the author runs, if it proved one. */
  readonly operator: string | null;
  /** The last counter of each release key's statements, in the order of `keys`: a thief can't use up another's. */
  readonly counters: readonly bigint[];
  /** The last counter of a statement by the recovery keys. */
  readonly recoveryCounter: bigint;
  readonly lines: number;
  /** Log entries of the delegations on this author's lines, those that ended too: their releases stand. */
  readonly delegations: readonly Uint8Array[];
  /** Log indexes of its registration, rotations and revocations: what a device's chain is made of (T02). */
  readonly links: readonly number[];
  readonly rotations: number;
  readonly status: number;
  /** The key id of a PSK author's PSK, 16 bytes (T07). */
  readonly psk?: Uint8Array;
}

/** A key that signs releases of a line for its owner, or once did (T01, T02). */
export interface Delegate {
  /** COSE_Key bytes. */
  readonly key: Uint8Array;
  /** Log entry of the delegation. */
  readonly entry: Uint8Array;
  readonly counter: bigint;
  /** False once it was ended, or the line went to another owner. */
  readonly inForce: boolean;
}

export interface LineRecord {
  /** AUTHOR/VENDOR/CLASS/TRACK: the author who declared it, whoever owns it now. */
  readonly text: string;
  readonly owner: Uint8Array;
  readonly delegates: readonly Delegate[];
  /** Log indexes of links that a device needs before those of the present owner: up to the last transfer. */
  readonly inherited: readonly number[];
  /** Log indexes of delegations under the present owner. */
  readonly links: readonly number[];
  /** Of the release registered last, which has the highest sequence. */
  readonly last: { readonly sequence: bigint; readonly digest: Uint8Array } | null;
  readonly newest: Uint8Array | null;
  readonly pending: Uint8Array | null;
  readonly lowest: bigint;
  readonly status: number;
}

export type ReleaseStatus = 'registered' | 'available' | 'withdrawn';

export interface ImageOfRelease {
  readonly component: number;
  /** SHA-256 of the image. */
  readonly digest: Uint8Array;
  readonly size: number;
}

export interface ReleaseRecord {
  readonly sequence: bigint;
  readonly digest: Uint8Array;
  readonly entry: Uint8Array;
  /** Log index of its statement. */
  readonly index: number;
  /** Who signed it: an author's id, or a delegate's thumbprint. */
  readonly issuer: Uint8Array;
  /** Thumbprint of the key that signed it. */
  readonly keyId: Uint8Array;
  readonly status: ReleaseStatus;
  readonly applies: readonly [bigint, bigint] | null;
  readonly via: Uint8Array | null;
  readonly images: readonly ImageOfRelease[];
  /** The topmost release of this line that was not withdrawn when this one was registered. */
  readonly previous: Uint8Array | null;
}

export interface AnchorRecord {
  readonly size: number;
  /** CID bytes. */
  readonly root: Uint8Array;
  /** Log index of the image.anchor statement, which lists the chunks. */
  readonly index: number;
}

export interface Hold {
  /** OPERATOR/NODE. */
  readonly node: string;
  /** Last height at which it counts (T23). */
  readonly until: number;
}

const STATUSES: readonly ReleaseStatus[] = ['registered', 'available', 'withdrawn'];

const bytes = (value: Cbor | undefined): Uint8Array => value as Uint8Array;
const uint = (value: Cbor | undefined): number => value as number;
const big = (value: Cbor | undefined): bigint => BigInt(value as number | bigint);
const list = (value: Cbor | undefined): readonly Cbor[] => value as readonly Cbor[];
const byteList = (value: Cbor | undefined): readonly Uint8Array[] => value as readonly Uint8Array[];

// What the bytes of a record hold, as long as a view keeps them: records are read far more often than written.
const rows = new WeakMap<Uint8Array, readonly Cbor[]>();

function read(view: View, name: string): readonly Cbor[] | undefined {
  const value = view.get(name);
  if (value === undefined) return undefined;
  let row = rows.get(value);
  if (row === undefined) {
    row = list(decode(value, { maxBytes: 1 << 21 }));
    rows.set(value, row);
  }
  return row;
}

// Parsing a root is the dearest read of all and its value changes with a policy only.
let lastRoot: Root | undefined;

/** The policy in force, as the root that devices pin. */
export function policyInForce(view: View): Root {
  const value = view.get('policy') ?? fail('POLICY_MALFORMED', 'the state has no policy');
  if (!lastRoot || !equal(lastRoot.bytes, value)) lastRoot = parseRoot(value);
  return lastRoot;
}

export function setPolicy(view: View, root: Uint8Array): void {
  view.set('policy', root);
}

/** The log index of the policy.change that brought a policy version; undefined for version 1, which is genesis'. */
export function getPolicyIndex(view: View, version: number): number | undefined {
  const row = read(view, `policy/${version}`);
  return row && uint(row[0]);
}

export function setPolicyIndex(view: View, version: number, index: number): void {
  view.set(`policy/${version}`, encode([index]));
}

export function getAuthor(view: View, id: Uint8Array): AuthorRecord | undefined {
  const row = read(view, `author/${hex(id)}`);
  if (!row) return undefined;
  return {
    id,
    keys: byteList(row[0]),
    retired: byteList(row[1]),
    recovery: byteList(row[2]),
    threshold: uint(row[3]),
    name: row[4] as string,
    operator: row[5] as string | null,
    counters: list(row[6]).map(big),
    recoveryCounter: big(row[7]),
    lines: uint(row[8]),
    delegations: byteList(row[9]),
    links: list(row[10]).map(uint),
    rotations: uint(row[11]),
    status: uint(row[12]),
    ...(row[13] !== undefined && { psk: bytes(row[13]) }),
  };
}

export function setAuthor(view: View, author: AuthorRecord): void {
  view.set(
    `author/${hex(author.id)}`,
    encode([
      author.keys,
      author.retired,
      author.recovery,
      author.threshold,
      author.name,
      author.operator,
      author.counters,
      author.recoveryCounter,
      author.lines,
      author.delegations,
      author.links,
      author.rotations,
      author.status,
      ...(author.psk ? [author.psk] : []),
    ]),
  );
}

/** The lines of an author in the order of their declaration: a key change rewrites them all (T16). */
export function getAuthorLine(view: View, author: Uint8Array, position: number): Uint8Array {
  const row = read(view, `author-line/${hex(author)}/${position}`);
  return bytes((row ?? fail('LINE_UNKNOWN'))[0]);
}

export function setAuthorLine(
  view: View,
  author: Uint8Array,
  position: number,
  key: Uint8Array,
): void {
  view.set(`author-line/${hex(author)}/${position}`, encode([key]));
}

export function getLine(view: View, key: Uint8Array): LineRecord | undefined {
  const row = read(view, `line/${hex(key)}`);
  if (!row) return undefined;
  const [text, owner, delegates, inherited, links, last, newest, pending, lowest, status] = row;
  return {
    text: text as string,
    owner: bytes(owner),
    delegates: list(delegates).map((delegate) => {
      const [delegateKey, entry, counter, inForce] = list(delegate);
      return {
        key: bytes(delegateKey),
        entry: bytes(entry),
        counter: big(counter),
        inForce: inForce === true,
      };
    }),
    inherited: list(inherited).map(uint),
    links: list(links).map(uint),
    last: last === null ? null : { sequence: big(list(last)[0]), digest: bytes(list(last)[1]) },
    newest: newest as Uint8Array | null,
    pending: pending as Uint8Array | null,
    lowest: big(lowest),
    status: uint(status),
  };
}

export function setLine(view: View, key: Uint8Array, line: LineRecord): void {
  view.set(
    `line/${hex(key)}`,
    encode([
      line.text,
      line.owner,
      line.delegates.map(({ key: delegate, entry, counter, inForce }) => [
        delegate,
        entry,
        counter,
        inForce,
      ]),
      line.inherited,
      line.links,
      line.last && [line.last.sequence, line.last.digest],
      line.newest,
      line.pending,
      line.lowest,
      line.status,
    ]),
  );
}

export function getRelease(
  view: View,
  line: Uint8Array,
  digest: Uint8Array,
): ReleaseRecord | undefined {
  const row = read(view, `release/${hex(line)}/${hex(digest)}`);
  if (!row) return undefined;
  const [sequence, entry, index, issuer, keyId, status, applies, via, images, previous] = row;
  return {
    sequence: big(sequence),
    digest,
    entry: bytes(entry),
    index: uint(index),
    issuer: bytes(issuer),
    keyId: bytes(keyId),
    status: STATUSES[uint(status)] as ReleaseStatus,
    applies: applies === null ? null : [big(list(applies)[0]), big(list(applies)[1])],
    via: via as Uint8Array | null,
    images: list(images).map((image) => {
      const [component, imageDigest, size] = list(image);
      return { component: uint(component), digest: bytes(imageDigest), size: uint(size) };
    }),
    previous: previous as Uint8Array | null,
  };
}

export function setRelease(view: View, line: Uint8Array, release: ReleaseRecord): void {
  view.set(
    `release/${hex(line)}/${hex(release.digest)}`,
    encode([
      release.sequence,
      release.entry,
      release.index,
      release.issuer,
      release.keyId,
      STATUSES.indexOf(release.status),
      release.applies && [...release.applies],
      release.via,
      release.images.map(({ component, digest, size }) => [component, digest, size]),
      release.previous,
    ]),
  );
}

/** What an image hangs on: its line's map key, its release's manifest digest, its own SHA-256 (T23). */
export interface ImageKey {
  readonly line: Uint8Array;
  readonly release: Uint8Array;
  readonly image: Uint8Array;
}

function imageName(kind: 'anchor' | 'hold', { line, release, image }: ImageKey): string {
  return `${kind}/${hex(line)}/${hex(release)}/${hex(image)}`;
}

export function getAnchor(view: View, key: ImageKey): AnchorRecord | undefined {
  const row = read(view, imageName('anchor', key));
  return row && { size: uint(row[0]), root: bytes(row[1]), index: uint(row[2]) };
}

export function setAnchor(view: View, key: ImageKey, anchor: AnchorRecord): void {
  view.set(imageName('anchor', key), encode([anchor.size, anchor.root, anchor.index]));
}

export function getHolds(view: View, key: ImageKey): readonly Hold[] {
  return (read(view, imageName('hold', key)) ?? []).map((hold) => ({
    node: list(hold)[0] as string,
    until: uint(list(hold)[1]),
  }));
}

/** Holds are kept sorted by node, one each. */
export function setHolds(view: View, key: ImageKey, holds: readonly Hold[]): void {
  const sorted = holds.toSorted((a, b) => (a.node < b.node ? -1 : 1));
  view.set(imageName('hold', key), encode(sorted.map(({ node, until }) => [node, until])));
}

/** The last counter of a node's statements; 0 before its first. */
export function getNodeCounter(view: View, node: string): bigint {
  const row = read(view, `node/${node}`);
  return row ? big(row[0]) : 0n;
}

export function setNodeCounter(view: View, node: string, counter: bigint): void {
  setNode(view, node, counter, getBatchTime(view, node));
}

/** Time of the block with the node's last report.batch; undefined before its first. */
export function getBatchTime(view: View, node: string): number | undefined {
  return read(view, `node/${node}`)?.[1] as number | undefined;
}

export function setBatchTime(view: View, node: string, time: number): void {
  setNode(view, node, getNodeCounter(view, node), time);
}

function setNode(view: View, node: string, counter: bigint, batchTime: number | undefined): void {
  view.set(`node/${node}`, encode(batchTime === undefined ? [counter] : [counter, batchTime]));
}
