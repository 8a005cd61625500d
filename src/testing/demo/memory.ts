/** Memory of a tree of processes as the sum of their PSS (shared pages count once). Linux only. */
import { readFileSync, readdirSync } from 'node:fs';

/** Bytes of this process and everything below it; undefined where there is no /proc. */
export function treePss(root: number = process.pid): number | undefined {
  let sum: number | undefined;
  for (const pid of treeOf(root)) {
    const kib = pssOf(pid);
    if (kib !== undefined) sum = (sum ?? 0) + kib * 1024;
  }
  return sum;
}

/** A process and everything below it. */
export function treeOf(root: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const pid of pids()) {
    const parent = parentOf(pid);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

function pids(): readonly number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

// /proc/PID/stat: pid (comm) state ppid ...; comm may hold anything, so what counts is behind the last parenthesis.
function parentOf(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
  return parent === undefined ? undefined : Number(parent);
}

function pssOf(pid: number): number | undefined {
  const match = /^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? '');
  return match ? Number(match[1]) : undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}
