/** A folder that has its name only once everything in it is on disk. */
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { check, type Code } from '../errors.ts';

/** The folder under its temporary name. Errors: `occupied` when something has the name already; an empty folder gives way. */
export async function beginFolder(directory: string, occupied: Code): Promise<string> {
  check(await isFree(directory), occupied, `${directory} is there already`);
  const partial = `${resolve(directory)}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true, mode: 0o700 });
  return partial;
}

/** Gives it its name, durably with what is in it. */
export async function finishFolder(partial: string, directory: string): Promise<void> {
  await syncAll(partial);
  await rm(directory, { recursive: true, force: true });
  await rename(partial, directory);
  await sync(dirname(resolve(directory)));
}

async function isFree(directory: string): Promise<boolean> {
  try {
    return (await readdir(directory)).length === 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    throw error;
  }
}

async function syncAll(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    await (entry.isDirectory() ? syncAll(path) : sync(path));
  }
  await sync(folder);
}

async function sync(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}
