/** Small files that are whole or not there: temporary file, fsync, then a name, then fsync of the folder. */
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { check, fail } from '../errors.ts';

const MODE = 0o600;

type FileContent = Uint8Array | string | AsyncIterable<Uint8Array>;

/** Replaces the file. Durable once it returns. */
export async function replaceFile(path: string, bytes: Uint8Array | string): Promise<void> {
  await place(path, bytes, rename);
}

/** Creates the file, never over another. Durable once it returns. Errors: AUTHOR_FILE_EXISTS. */
export async function createFile(path: string, bytes: FileContent, mode = MODE): Promise<void> {
  await place(
    path,
    bytes,
    async (temporary) => {
      try {
        // A link, unlike a rename, fails when the name is taken.
        await link(temporary, path);
      } catch (cause) {
        if (!hasCode(cause, 'EPERM')) refuseOther(path, cause);
        // A file system without links, as memory sticks have: the name is taken first, and then filled.
        await claim(path);
        await rename(temporary, path);
      } finally {
        await rm(temporary, { force: true });
      }
    },
    mode,
  );
}

/** The bytes of a file of at most `max` bytes. Errors: AUTHOR_FILE_INVALID, and the file system's own. */
export async function readBounded(path: string, max: number): Promise<Uint8Array> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  check(size <= max, 'AUTHOR_FILE_INVALID', `${path} has more than ${max} bytes`);
  return new Uint8Array(await readFile(file));
}

/** `readBounded`, or undefined when there is no such file. */
export async function readIfThere(path: string, max: number): Promise<Uint8Array | undefined> {
  try {
    return await readBounded(path, max);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Gives the file another name, over what had it. Durable once it returns. */
export async function renameFile(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncFolder(dirname(to));
}

export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncFolder(dirname(path));
}

async function place(
  path: string,
  bytes: FileContent,
  name: (temporary: string, path: string) => Promise<void>,
  mode = MODE,
): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = join(folder, `.${randomUUID()}.tmp`);
  try {
    await using file = await open(temporary, 'wx', mode);
    await file.writeFile(bytes);
    await file.sync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await name(temporary, path);
  await syncFolder(folder);
}

async function claim(path: string): Promise<void> {
  try {
    await using _ = await open(path, 'wx');
  } catch (cause) {
    refuseOther(path, cause);
  }
}

function refuseOther(path: string, cause: unknown): never {
  if (!hasCode(cause, 'EEXIST')) throw cause;
  return fail('AUTHOR_FILE_EXISTS', `${path} exists already`, {}, cause);
}

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
