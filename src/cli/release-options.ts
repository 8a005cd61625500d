/** The options of `release create`. */
import { createReadStream } from 'node:fs';
import { createHash } from '#crypto';
import { equal, fromHex } from '../bytes.ts';
import { check } from '../errors.ts';
import type { Document, ReleaseClaims } from '../registry/claims.ts';
import { wrong, type Arguments } from './arguments.ts';

/** Undefined: auto. Errors: UsageError. */
export function sequenceOption(given: Arguments): bigint | undefined {
  const value = given.text('sequence') ?? 'auto';
  if (value === 'auto') return undefined;
  return /^\d{1,20}$/.test(value) ? BigInt(value) : wrong('--sequence is a whole number, or auto');
}

/** The claims that the options of `release create` make. Errors: UsageError, BYTES_MALFORMED, AUTHOR_DOCUMENT_MISMATCH. */
export async function claimsOf(given: Arguments): Promise<ReleaseClaims> {
  const urgency = given.text('kind') ?? 'functional';
  if (urgency !== 'security' && urgency !== 'functional') wrong('--kind is security or functional');
  const applies = given.text('applies');
  const via = given.text('via');
  const until = given.text('support-until');
  return {
    version: given.required('version'),
    urgency,
    ...(applies !== undefined && { applies: appliesOption(applies) }),
    ...(via !== undefined && { via: fromHex(via, 32) }),
    ...(until !== undefined && { supportUntil: seconds(until) }),
    documents: await Promise.all(given.list('document').map(documentOption)),
  };
}

function appliesOption(value: string): readonly [bigint, bigint] {
  const [, low, high] = /^(\d{1,20})-(\d{1,20})$/.exec(value) ?? [];
  if (low === undefined || high === undefined) return wrong('--applies is LOW-HIGH');
  return [BigInt(low), BigInt(high)];
}

function seconds(date: string): number {
  const ms = Date.parse(date);
  return Number.isNaN(ms) ? wrong(`"${date}" is no date`) : Math.floor(ms / 1000);
}

async function documentOption(value: string): Promise<Document> {
  const parts = new Map(
    value.split(',').map((part): [string, string] => {
      const at = part.indexOf('=');
      return [part.slice(0, at), part.slice(at + 1)];
    }),
  );
  const [type, file, where] = [parts.get('type'), parts.get('file'), parts.get('where')];
  const expected = parts.get('sha256');
  const known = expected === undefined ? 3 : 4;
  if (type === undefined || file === undefined || where === undefined || parts.size !== known)
    return wrong('--document is type=TYPE,file=FILE,where=URL and, if it is known, sha256=HEX');
  const hash = createHash('SHA-256');
  for await (const part of createReadStream(file)) hash.update(part as Uint8Array);
  const digest = hash.digest();
  // What was approved is what is signed: the file may have been exchanged since.
  const same = expected === undefined || equal(fromHex(expected, 32), digest);
  check(same, 'AUTHOR_DOCUMENT_MISMATCH', undefined, { file });
  return { type, digest, where };
}
