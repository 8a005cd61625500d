/**
 * The provisioning file: what the maker puts into a device (docs/spec/device.md). Anchors, lines, root
 * and floor come from here and from nowhere else: nothing that the network says adds to them (T29).
 */
import { fromHex, hex, text } from '../bytes.ts';
import { decodeKey, thumbprint } from '../cose/key.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check, fail } from '../errors.ts';
import { lineText, type Line } from '../registry/line.ts';
import { parseRoot, type Root } from '../registry/root.ts';
import { jsonReader, type JsonReader } from './json-fields.ts';
import type { SlotLayout } from './slot-state.ts';

export type StaleInstall = 'never' | 'consent' | 'allow';

export type OwnClock = 'own' | 'none';

/** A line that the device follows, and the author key that it trusts for it. */
export interface ProvisionedLine {
  readonly line: Line;
  readonly text: string;
  /** The author's first release key; its thumbprint is the line's author id. */
  readonly anchor: PublicKey;
}

export interface Provisioning {
  readonly name: string;
  readonly model: string;
  /** 16 bytes each. */
  readonly vendorId: Uint8Array;
  readonly classId: Uint8Array;
  /** In order of preference (T17: the first that has a release to install wins). */
  readonly lines: readonly ProvisionedLine[];
  readonly root: Root;
  /** POSIX seconds. */
  readonly floor: number;
  readonly staleInstall: StaleInstall;
  /** Path of the device's private key, relative to the provisioning file. */
  readonly keyFile: string;
  /** Of a PSK author (T07): no release is accepted without a MAC by its PSK. */
  readonly psk?: ProvisionedPsk;
  /** Two slots that boot, unless said otherwise (docs/spec/device.md, "Slots"). */
  readonly slots?: SlotLayout;
  /** `none`: it has no clock that keeps time; one of its own unless said otherwise (T14). */
  readonly clock?: OwnClock;
}

export interface ProvisionedPsk {
  /** 16 bytes. */
  readonly keyId: Uint8Array;
  /** Path of the PSK, a symmetric COSE_Key, relative to the provisioning file. */
  readonly keyFile: string;
}

const CODE = 'DEVICE_PROVISIONING_INVALID';
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_LINES = 16;
const FORMAT = 'firmament/provisioning/v1';
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const UUID = /^[0-9a-f]{32}$/;
const PATH = /^[^\p{Cc}]{1,1024}$/u;
const KEYS = [
  'format',
  'name',
  'model',
  'vendorId',
  'classId',
  'lines',
  'root',
  'floor',
  'staleInstall',
  'keyFile',
];

/** Errors: DEVICE_PROVISIONING_INVALID. */
export function parseProvisioning(bytes: Uint8Array): Provisioning {
  check(bytes.length <= MAX_BYTES, CODE, 'the provisioning file is too large');
  const json = jsonReader(CODE);
  const top = json.object(readJson(bytes), 'provisioning', KEYS, ['psk', 'slots', 'clock']);
  check(top['format'] === FORMAT, CODE, 'a provisioning file of another format');
  const vendorId = json.text(top['vendorId'], 'vendorId', UUID);
  const classId = json.text(top['classId'], 'classId', UUID);
  const lines = json
    .list(top['lines'], 'lines', MAX_LINES)
    .map((line) => parseLine(json, line, vendorId, classId));
  check(lines.length > 0, CODE, 'no line to follow');
  check(new Set(lines.map((line) => line.text)).size === lines.length, CODE, 'a line twice');
  return {
    name: json.text(top['name'], 'name', NAME),
    model: json.text(top['model'], 'model', NAME),
    vendorId: fromHex(vendorId),
    classId: fromHex(classId),
    lines,
    root: shaped('root', () => parseRoot(fromHex(json.text(top['root'], 'root', /^[0-9a-f]+$/)))),
    floor: json.uint(top['floor'], 'floor'),
    staleInstall: json.text(
      top['staleInstall'],
      'staleInstall',
      /^(?:never|consent|allow)$/,
    ) as StaleInstall,
    keyFile: json.text(top['keyFile'], 'keyFile', PATH),
    ...(top['psk'] !== undefined && { psk: parsePsk(json, top['psk'], lines) }),
    ...(top['slots'] !== undefined && {
      slots: json.text(top['slots'], 'slots', /^(?:ab|single)$/) as SlotLayout,
    }),
    ...(top['clock'] !== undefined && {
      clock: json.text(top['clock'], 'clock', /^(?:own|none)$/) as OwnClock,
    }),
  };
}

// T07: a PSK is shared with one author, and a device with two would not take the other's releases.
function parsePsk(
  json: JsonReader,
  value: unknown,
  lines: readonly ProvisionedLine[],
): ProvisionedPsk {
  const fields = json.object(value, 'psk', ['keyId', 'keyFile']);
  const authors = new Set(lines.map(({ line }) => hex(line.author)));
  check(authors.size === 1, CODE, 'a PSK, and lines of several authors');
  return {
    keyId: fromHex(json.text(fields['keyId'], 'PSK key id', UUID)),
    keyFile: json.text(fields['keyFile'], 'PSK keyFile', PATH),
  };
}

/** The file's bytes, for whoever makes devices. Checked by reading them back. */
export function encodeProvisioning(provisioning: {
  readonly name: string;
  readonly model: string;
  readonly vendorId: Uint8Array;
  readonly classId: Uint8Array;
  /** `anchor`: COSE_Key bytes. */
  readonly lines: readonly { readonly anchor: Uint8Array; readonly track: string }[];
  /** Bytes of the root (docs/spec/genesis.md). */
  readonly root: Uint8Array;
  readonly floor: number;
  readonly staleInstall: StaleInstall;
  readonly keyFile: string;
  readonly psk?: ProvisionedPsk;
  readonly slots?: SlotLayout;
  readonly clock?: OwnClock;
}): Uint8Array {
  const { name, model, floor, staleInstall, keyFile, psk, slots, clock } = provisioning;
  const vendorId = hex(provisioning.vendorId);
  const classId = hex(provisioning.classId);
  const lines = provisioning.lines.map(({ anchor, track }) => ({
    author: hex(anchor),
    vendorId,
    classId,
    track,
  }));
  const root = hex(provisioning.root);
  const value = {
    format: FORMAT,
    name,
    model,
    vendorId,
    classId,
    lines,
    root,
    floor,
    staleInstall,
    keyFile,
    ...(psk && { psk: { keyId: hex(psk.keyId), keyFile: psk.keyFile } }),
    ...(slots && { slots }),
    ...(clock && { clock }),
  };
  const bytes = new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
  parseProvisioning(bytes);
  return bytes;
}

/** The provisioned line of this text. Errors: TRUST_UNPROVISIONED (T29). */
export function provisionedLine(provisioning: Provisioning, line: string): ProvisionedLine {
  return (
    provisioning.lines.find((known) => known.text === line) ??
    fail('TRUST_UNPROVISIONED', 'this device was not made to follow that line', { line })
  );
}

function parseLine(
  json: JsonReader,
  value: unknown,
  vendorId: string,
  classId: string,
): ProvisionedLine {
  const fields = json.object(value, 'line', ['author', 'vendorId', 'classId', 'track']);
  // A release carries the vendor and class of the hardware; a line of others could never be installed.
  check(
    fields['vendorId'] === vendorId && fields['classId'] === classId,
    CODE,
    'a line for other hardware',
  );
  const author = fromHex(json.text(fields['author'], 'author', /^(?:[0-9a-f]{2}){1,256}$/));
  const anchor = shaped('author anchor', () => decodeKey(author));
  const line: Line = {
    author: thumbprint(anchor),
    vendor: fromHex(vendorId),
    class: fromHex(classId),
    track: json.text(fields['track'], 'track', /^[a-z0-9][a-z0-9.-]{0,31}$/),
  };
  return { line, text: lineText(line), anchor };
}

function readJson(bytes: Uint8Array): unknown {
  return shaped('provisioning', () => JSON.parse(text(bytes)) as unknown);
}

function shaped<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'not readable';
    return fail(CODE, `${what}: ${reason}`, {}, cause);
  }
}
