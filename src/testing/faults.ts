/**
 * Faults in a process of its own: at the n-th time that a named moment of a durable write is reached, the
 * process kills itself. The program that runs reads what to do from a file, so that a test can arm it at any time.
 */
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Files } from '../reader/files.ts';
import type { FaultName } from '../fault-point.ts';

/** Names the file that arms a child. */
export const FAULT_VARIABLE = 'FIRMAMENT_FAULT_FILE';

const NODE_FAULTS: Readonly<Record<FaultName, true>> = {
  'ledger.commit.before': true,
  'ledger.commit.after': true,
  'node.commit.before': true,
  'node.commit.after': true,
  'store.put.before': true,
  'store.put.before-rename': true,
  'store.put.after-rename': true,
  'store.put.after': true,
  'store.delete.before': true,
  'store.delete.after': true,
  'cosigner.record.before': true,
  'cosigner.record.before-rename': true,
  'cosigner.record.after-rename': true,
  'cosigner.record.after': true,
};

/** Every point of a node: the type of the names and this list can't differ. */
export const nodeFaults = Object.keys(NODE_FAULTS) as readonly FaultName[];

/** One child's file: armed by the test, emptied by the child when the fault happens. */
export class FaultFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** The environment of the child. */
  get env(): Readonly<Record<string, string>> {
    return { [FAULT_VARIABLE]: this.path };
  }

  /** The `hit`th time from now, counted from 1, that the child reaches this point is its end. */
  arm(point: string, hit = 1): void {
    writeFileSync(this.path, JSON.stringify({ point, hit }));
  }

  disarm(): void {
    rmSync(this.path, { force: true });
  }

  /** Whether the fault is still to come. */
  get armed(): boolean {
    return existsSync(this.path);
  }

  /** What the child has reached since the last call, in order, when `record` was called before. */
  reached(): readonly string[] {
    const log = `${this.path}.log`;
    if (!existsSync(log)) return [];
    const lines = readFileSync(log, 'utf8').split('\n').slice(0, -1);
    writeFileSync(log, '');
    return lines;
  }

  record(): void {
    writeFileSync(`${this.path}.log`, '');
  }
}

/** The child's side of a `FaultFile`. */
export function faultFromFile(path: string): (point: string) => void {
  return (point) => {
    if (existsSync(`${path}.log`)) appendFileSync(`${path}.log`, `${point}\n`);
    if (!existsSync(path)) return;
    const armed = JSON.parse(readFileSync(path, 'utf8')) as { point: string; hit: number };
    if (armed.point !== point) return;
    if (armed.hit > 1) {
      writeFileSync(path, JSON.stringify({ point, hit: armed.hit - 1 }));
      return;
    }
    rmSync(path);
    process.kill(process.pid, 'SIGKILL');
    // The signal is on its way: nothing more of this process happens.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  };
}

/**
 * A device's storage with a point before and after each change, `device.WHAT.CHANGE.before`: WHAT is `image` for
 * both slots, else the name of the record or folder.
 */
export function faultyFiles(files: Files, reach: (point: string) => void): Files {
  const around = async (
    path: string,
    change: string,
    operation: () => Promise<void>,
  ): Promise<void> => {
    const name = `device.${subject(path)}.${change}`;
    reach(`${name}.before`);
    await operation();
    reach(`${name}.after`);
  };
  return {
    size: (path) => files.size(path),
    read: (path, offset, length) => files.read(path, offset, length),
    write: (path, offset, bytes) => around(path, 'write', () => files.write(path, offset, bytes)),
    truncate: (path, size) => around(path, 'truncate', () => files.truncate(path, size)),
    sync: (path) => around(path, 'sync', () => files.sync(path)),
    rename: (from, to) => around(from, 'rename', () => files.rename(from, to)),
    remove: (path) => around(path, 'remove', () => files.remove(path)),
    makeFolder: (path) => around(path, 'make-folder', () => files.makeFolder(path)),
    syncFolder: (path) => around(path, 'sync-folder', () => files.syncFolder(path)),
  };
}

function subject(path: string): string {
  const name = basename(path).replace(/\.new$/, '');
  return /^[ab]\.cjs$/.test(name) ? 'image' : name;
}
