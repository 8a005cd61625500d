/**
 * Blocks as files: DIRECTORY/x/y/CID, x and y the first two hex digits of the digest; files being written
 * lie in DIRECTORY/tmp. One process has a directory open at a time. What lies on the disk is not trusted:
 * it is hashed each time it is read.
 */
import { mkdir, open, opendir, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf, FirmamentError } from '../errors.ts';
import { BLOCK_MAX_BYTES, cidDigest, cidText, parseCid, verifyBlock } from './cid.ts';
import type { FaultPoint } from '../fault-point.ts';
import type { Store } from './store.ts';

export interface DiskStoreOptions {
  /** Called after a block whose bytes on the disk were not its own was removed. */
  readonly onDamaged?: (cid: Uint8Array) => void;
  /** Told of each step of each durable change. */
  readonly faultPoint?: FaultPoint;
}

/** Opens or makes the directory; removes what a crash left half written. Errors: STORE_IO, STORE_FULL. */
export async function openDiskStore(
  directory: string,
  options: DiskStoreOptions = {},
): Promise<Store> {
  const temporary = join(directory, 'tmp');
  const reach = options.faultPoint;
  await io(async () => {
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { recursive: true });
    await syncFolder(directory);
  });
  let written = 0;
  const folders = createFolders(directory);
  const writing = new Map<string, Promise<void>>();
  const pathOf = (cid: Uint8Array): string => {
    const digest = cidDigest(cid).toHex();
    return join(directory, digest.slice(0, 1), digest.slice(1, 2), cidText(cid));
  };

  /** The block if its bytes are its own; 'absent', or 'damaged' if they are not. */
  const read = async (cid: Uint8Array): Promise<Uint8Array | 'absent' | 'damaged'> => {
    const path = pathOf(cid);
    const bytes = await io(() => readBounded(path));
    if (bytes === undefined) return 'absent';
    try {
      verifyBlock(cid, bytes);
    } catch {
      return 'damaged';
    }
    return bytes;
  };

  const write = async (cid: Uint8Array, bytes: Uint8Array): Promise<void> => {
    const path = pathOf(cid);
    const found = await read(cid);
    if (found instanceof Uint8Array) {
      // it may have been renamed into place just before a crash: only now is it known to be durable
      await io(() => folders.make(dirname(path)));
      await io(() => syncFolder(dirname(path)));
      return;
    }
    if (found === 'damaged') options.onDamaged?.(cid);
    written += 1;
    const unfinished = join(temporary, String(written));
    try {
      await io(async () => {
        reach?.('store.put.before');
        await writeSynced(unfinished, bytes);
        await folders.make(dirname(path));
        reach?.('store.put.before-rename');
        await rename(unfinished, path);
        reach?.('store.put.after-rename');
        await syncFolder(dirname(path));
        reach?.('store.put.after');
      });
    } catch (error) {
      await rm(unfinished, { force: true }).catch(() => {});
      throw error;
    }
  };

  /** Looks again before it removes: a `put` may have repaired the block meanwhile. */
  const removeDamaged = async (cid: Uint8Array): Promise<void> => {
    if ((await read(cid)) !== 'damaged') return;
    await removeSynced(cid);
    options.onDamaged?.(cid);
  };

  const removeSynced = (cid: Uint8Array): Promise<void> =>
    io(async () => {
      reach?.('store.delete.before');
      await remove(pathOf(cid));
      reach?.('store.delete.after');
    });

  /** One change at a time to one block, or a second `put` could return before the first is durable. */
  const inTurn = (cid: Uint8Array, change: () => Promise<void>): Promise<void> => {
    const key = cidText(cid);
    const before = writing.get(key) ?? Promise.resolve();
    const turn = before.catch(() => {}).then(change);
    writing.set(key, turn);
    const forget = (): void => {
      if (writing.get(key) === turn) writing.delete(key);
    };
    turn.then(forget, forget);
    return turn;
  };

  return {
    async get(cid) {
      const found = await read(cid);
      if (found instanceof Uint8Array) return found;
      if (found === 'damaged') await inTurn(cid, () => removeDamaged(cid));
      return undefined;
    },
    async has(cid) {
      return io(() => exists(pathOf(cid)));
    },
    async put(cid, bytes) {
      verifyBlock(cid, bytes);
      await inTurn(cid, () => write(cid, bytes));
    },
    async delete(cid) {
      await inTurn(cid, () => removeSynced(cid));
    },
    async *list() {
      for (const first of HEX) {
        for (const second of HEX) {
          for await (const name of namesIn(join(directory, first, second))) {
            const cid = cidOfName(name);
            if (cid) yield cid;
          }
        }
      }
    },
  };
}

const HEX = '0123456789abcdef';

/** Runs file operations; what they throw becomes STORE_FULL or STORE_IO. */
async function io<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw ioError(cause);
  }
}

function ioError(cause: unknown): FirmamentError {
  const reason = reasonOf(cause);
  const full = reason === 'ENOSPC' || reason === 'EDQUOT';
  return new FirmamentError(full ? 'STORE_FULL' : 'STORE_IO', undefined, { reason }, { cause });
}

function reasonOf(error: unknown): string | undefined {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' ? code : undefined;
}

function isAbsent(error: unknown): boolean {
  return reasonOf(error) === 'ENOENT';
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** The file; undefined when there is none. Of one that is too long only so much as shows it. */
async function readBounded(path: string): Promise<Uint8Array | undefined> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    const bytes = new Uint8Array(Math.min(size, BLOCK_MAX_BYTES + 1));
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

async function remove(path: string): Promise<void> {
  try {
    await unlink(path);
    await syncFolder(dirname(path));
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, 'wx');
  await file.writeFile(bytes);
  await file.sync();
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

/**
 * Makes the two folders above a block, durably: once a process, also when they are there already, as a crash
 * may have come before their parents were synced.
 */
function createFolders(directory: string): { make(folder: string): Promise<void> } {
  const made = new Map<string, Promise<void>>();
  const makeSynced = async (folder: string): Promise<void> => {
    await mkdir(folder, { recursive: true });
    await syncFolder(dirname(folder));
    await syncFolder(directory);
  };
  return {
    async make(folder) {
      let making = made.get(folder);
      if (!making) {
        making = makeSynced(folder);
        made.set(folder, making);
      }
      try {
        await making;
      } catch (error) {
        made.delete(folder);
        throw error;
      }
    },
  };
}

async function* namesIn(folder: string): AsyncGenerator<string, void, undefined> {
  try {
    for await (const entry of await opendir(folder)) yield entry.name;
  } catch (error) {
    if (!isAbsent(error)) throw ioError(error);
  }
}

function cidOfName(name: string): Uint8Array | undefined {
  try {
    return parseCid(name);
  } catch (error) {
    if (codeOf(error)) return undefined;
    throw error;
  }
}
