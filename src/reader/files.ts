/**
 * The few operations that the device does on its storage. A port, so that a test can cut the power at
 * each of them. What is not synced may be lost, kept or torn by a power cut: the content of a file until
 * `sync`, its name (creation, rename, removal) until `syncFolder`.
 */
import { mkdir, open, rename, rm, stat, truncate, type FileHandle } from 'node:fs/promises';
import { codeOf, fail } from '../errors.ts';

/** Errors of each: DEVICE_STORAGE_FULL, DEVICE_STORAGE_IO. */
export interface Files {
  /** Size in bytes; undefined when there is no such file. */
  size(path: string): Promise<number | undefined>;
  /** Up to `length` bytes at `offset`, fewer only at the end of the file. */
  read(path: string, offset: number, length: number): Promise<Uint8Array>;
  /** Writes at `offset`; creates the file when it is not there. */
  write(path: string, offset: number, bytes: Uint8Array): Promise<void>;
  /** Cuts an existing file to `size`. */
  truncate(path: string, size: number): Promise<void>;
  sync(path: string): Promise<void>;
  /** Atomic; replaces `to`. */
  rename(from: string, to: string): Promise<void>;
  /** Nothing happens when there is no such file. */
  remove(path: string): Promise<void>;
  makeFolder(path: string): Promise<void>;
  syncFolder(path: string): Promise<void>;
}

const disk: Files = {
  async size(path) {
    try {
      return (await stat(path)).size;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  },
  read: (path, offset, length) =>
    withFile(path, 'r', async (file) => {
      const bytes = new Uint8Array(length);
      let at = 0;
      while (at < length) {
        const { bytesRead } = await file.read(bytes, at, length - at, offset + at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      return bytes.subarray(0, at);
    }),
  async write(path, offset, bytes) {
    const put = async (file: FileHandle): Promise<void> => {
      let at = 0;
      while (at < bytes.length)
        at += (await file.write(bytes, at, bytes.length - at, offset + at)).bytesWritten;
    };
    try {
      await withFile(path, 'r+', put);
    } catch (error) {
      if (!isAbsent(error)) throw error;
      await withFile(path, 'wx', put);
    }
  },
  truncate,
  sync: (path) => withFile(path, 'r+', (file) => file.sync()),
  rename,
  remove: (path) => rm(path, { force: true }),
  async makeFolder(path) {
    await mkdir(path, { recursive: true });
  },
  syncFolder: (path) => withFile(path, 'r', (file) => file.sync()),
};

/** The real storage. */
export const diskFiles: Files = codedFiles(disk);

/** The same operations, with what they throw under this device's codes. */
function codedFiles(files: Files): Files {
  return {
    size: (path) => files.size(path).catch(storageError),
    read: (path, offset, length) => files.read(path, offset, length).catch(storageError),
    write: (path, offset, bytes) => files.write(path, offset, bytes).catch(storageError),
    truncate: (path, size) => files.truncate(path, size).catch(storageError),
    sync: (path) => files.sync(path).catch(storageError),
    rename: (from, to) => files.rename(from, to).catch(storageError),
    remove: (path) => files.remove(path).catch(storageError),
    makeFolder: (path) => files.makeFolder(path).catch(storageError),
    syncFolder: (path) => files.syncFolder(path).catch(storageError),
  };
}

function storageError(cause: unknown): never {
  const { code, path } = cause as NodeJS.ErrnoException;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return fail(
    full ? 'DEVICE_STORAGE_FULL' : 'DEVICE_STORAGE_IO',
    undefined,
    { reason: code, path },
    cause,
  );
}

/** Whether it is the device's own storage that failed, whoever was spoken to. */
export function isStorageError(error: unknown): boolean {
  return codeOf(error)?.startsWith('DEVICE_STORAGE_') === true;
}

async function withFile<T>(
  path: string,
  flags: string,
  use: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const file = await open(path, flags, 0o600);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
