/** A directory of component files as the device that a manifest acts on. */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash } from '#crypto';
import { hex } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import { componentName } from '../suit/component-port.ts';
import type { Component, ComponentPort, FetchRequest } from '../suit/component-port.ts';

export interface SlotsOptions {
  readonly directory: string;
  readonly vendorId: Uint8Array | undefined;
  readonly classId: Uint8Array | undefined;
  readonly slot: number | undefined;
  /** Files by the URI that they stand for. */
  readonly payloads: ReadonlyMap<string, string>;
  /** mWh; undefined: there is no gauge. */
  readonly battery: number | undefined;
  /** The least urgent priority that leave is given for; undefined: nobody is there to ask. */
  readonly authorizeUpTo: number | undefined;
  /** Seconds since 1970. */
  readonly now: () => bigint;
  readonly onInvoke: (component: string, args: Uint8Array | undefined) => void;
  readonly onUnlink: (component: string, manifestDigest: Uint8Array) => void;
}

type Pieces = AsyncIterable<Uint8Array>;

/** Every component exists: its file is made when it is first written to. */
export function slotsPort(options: SlotsOptions): ComponentPort {
  const path = ({ id }: Component): string => join(options.directory, componentName(id));
  const held = async (component: Component): Promise<Pieces> => {
    const size = await sizeOf(path(component));
    check(size !== undefined, 'SUIT_OPERATION_FAILED', 'the source component is empty');
    return createReadStream(path(component)) as Pieces;
  };
  const payload = async ({ uri }: FetchRequest): Promise<Pieces> => {
    const file = options.payloads.get(uri);
    if (file === undefined)
      return fail('SUIT_OPERATION_FAILED', `no --payload was given for ${uri}`);
    return createReadStream(file) as Pieces;
  };
  const identifiers = { vendor: options.vendorId, class: options.classId, device: undefined };
  const { battery, authorizeUpTo } = options;
  return {
    has: () => Promise.resolve(true),
    identifiers(_component, kind) {
      const id = identifiers[kind];
      return Promise.resolve(id === undefined ? [] : [id]);
    },
    slot: () => Promise.resolve(options.slot),
    async measure(component, algorithm) {
      const size = await sizeOf(path(component));
      if (size === undefined) return undefined;
      const hash = createHash(algorithm);
      for await (const piece of await held(component)) hash.update(piece);
      return { digest: hash.digest(), size };
    },
    async read(component, maxBytes) {
      const size = await sizeOf(path(component));
      if (size === undefined) return undefined;
      await using file = await open(path(component), 'r');
      const bytes = new Uint8Array(Math.min(size, maxBytes));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
      return bytes.subarray(0, bytesRead);
    },
    fetch: async (component, request) =>
      place(path(component), bounded(await payload(request), request.maxBytes)),
    write: (component, content) => place(path(component), one(content)),
    copy: async (target, source, maxBytes) =>
      place(path(target), bounded(await held(source), maxBytes)),
    swap: (target, source) => swap(path(target), path(source)),
    invoke(component, args) {
      options.onInvoke(componentName(component.id), args);
      return Promise.resolve();
    },
    streams: {
      contents: (component) => later(() => held(component)),
      open: (_component, request) => later(() => payload(request)),
      store: (component, pieces) => place(path(component), pieces),
    },
    now: () => Promise.resolve(options.now()),
    ...(battery === undefined ? {} : { battery: () => Promise.resolve(battery) }),
    ...(authorizeUpTo === undefined
      ? {}
      : { authorize: (priority: number) => Promise.resolve(priority <= authorizeUpTo) }),
    unlink(component, digest) {
      options.onUnlink(componentName(component.id), digest);
      return Promise.resolve();
    },
  };
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The file has the pieces, or is what it was: a text that turns out to be false leaves no trace. */
async function place(path: string, pieces: Pieces): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    await using file = await open(temporary, 'wx');
    for await (const piece of pieces) await file.write(piece);
    await file.sync();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await using folder = await open(join(path, '..'), 'r');
  await folder.sync();
}

/** At every moment each content has a file. */
async function swap(a: string, b: string): Promise<void> {
  for (const path of [a, b])
    check((await sizeOf(path)) !== undefined, 'SUIT_OPERATION_FAILED', 'a component is empty');
  const temporary = `${a}.${randomUUID()}`;
  await rename(a, temporary);
  await rename(b, a);
  await rename(temporary, b);
}

async function* bounded(pieces: Pieces, maxBytes: number): Pieces {
  let length = 0;
  for await (const piece of pieces) {
    length += piece.length;
    check(length <= maxBytes, 'SUIT_TOO_LARGE', 'more bytes than the manifest allows');
    yield piece;
  }
}

async function* one(bytes: Uint8Array): Pieces {
  yield await Promise.resolve(bytes);
}

async function* later(begin: () => Promise<Pieces>): Pieces {
  yield* await begin();
}

/** Names, sizes and digests of what the directory's components hold, for `names`. */
export async function contentsOf(
  port: ComponentPort,
  ids: readonly (readonly Uint8Array[])[],
): Promise<Readonly<Record<string, { readonly bytes: number; readonly sha256: string } | null>>> {
  const found: Record<string, { readonly bytes: number; readonly sha256: string } | null> = {};
  for (const [index, id] of ids.entries()) {
    const measured = await port.measure({ index, id }, 'SHA-256', undefined);
    found[componentName(id)] =
      measured === undefined ? null : { bytes: measured.size, sha256: hex(measured.digest) };
  }
  return found;
}
