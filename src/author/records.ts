/**
 * What an author's folder remembers between commands: the last sequence built for each line, which lines it has
 * declared, and the groups it posted, so that giving a command again posts the same statements again.
 */
import { join } from 'node:path';
import { hex } from '../bytes.ts';
import { decodeGroup, encodeGroup, MAX_REGISTRATION } from '../api/registration.ts';
import { fail } from '../errors.ts';
import type { RawTransaction } from '../registry/block.ts';
import type { Author } from './author.ts';
import { readIfThere, removeFile, replaceFile } from './durable-file.ts';
import { isObject, parseJson, type JsonObject } from './json-file.ts';

export interface LineMemory {
  readonly last: bigint;
  readonly declared: boolean;
}

const TYPE = 'firmament/lines/v1';
const MAX_LINES_FILE = 1 << 20;

const linesPath = (author: Author): string => join(author.directory, 'lines.json');

export async function rememberedLine(author: Author, line: string): Promise<LineMemory> {
  return (await readLines(author)).get(line) ?? { last: 0n, declared: false };
}

/** Durable once it returns. */
export async function rememberLine(
  author: Author,
  line: string,
  memory: Partial<LineMemory>,
): Promise<void> {
  const lines = new Map(await readLines(author));
  const before = lines.get(line) ?? { last: 0n, declared: false };
  lines.set(line, { ...before, ...memory });
  const rows = [...lines].map(([name, { last, declared }]) => [
    name,
    { last: last.toString(), declared },
  ]);
  const file = { type: TYPE, lines: Object.fromEntries(rows) as JsonObject };
  await replaceFile(linesPath(author), `${JSON.stringify(file, null, 2)}\n`);
}

async function readLines(author: Author): Promise<ReadonlyMap<string, LineMemory>> {
  const bytes = await readIfThere(linesPath(author), MAX_LINES_FILE);
  if (!bytes) return new Map();
  const { lines } = parseJson(bytes, TYPE);
  if (!isObject(lines)) return fail('AUTHOR_FILE_INVALID', 'lines is not an object');
  return new Map(Object.entries(lines).map(([name, value]) => [name, parseLine(value)]));
}

function parseLine(value: unknown): LineMemory {
  if (!isObject(value)) return fail('AUTHOR_FILE_INVALID', 'not a line');
  const { last, declared } = value;
  if (typeof last !== 'string' || !/^\d{1,20}$/.test(last) || typeof declared !== 'boolean')
    return fail('AUTHOR_FILE_INVALID', 'not a line');
  return { last: BigInt(last), declared };
}

/** A group that was posted and whose end is not known yet, by a name of its caller's. */
export async function readPosted(
  author: Author,
  name: Uint8Array,
): Promise<readonly RawTransaction[] | undefined> {
  const bytes = await readIfThere(postedPath(author, name), MAX_REGISTRATION);
  return bytes && decodeGroup(bytes);
}

/** To be called before the group is posted. Durable once it returns. */
export async function keepPosted(
  author: Author,
  name: Uint8Array,
  group: readonly RawTransaction[],
): Promise<void> {
  await replaceFile(postedPath(author, name), encodeGroup(group));
}

export async function dropPosted(author: Author, name: Uint8Array): Promise<void> {
  await removeFile(postedPath(author, name));
}

function postedPath(author: Author, name: Uint8Array): string {
  return join(author.directory, 'posted', `${hex(name)}.cbor`);
}
