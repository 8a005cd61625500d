/** CPU time of running processes, from /proc (Linux only). */
import { readFileSync } from 'node:fs';
import { treeOf } from '../../src/testing/demo/memory.ts';

// Of USER_HZ, which has been this on every Linux for decades.
const TICKS_A_SECOND = 100;

/** Seconds of CPU that a process used so far; 0 for one that is gone. */
function cpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // pid (comm) state ...: comm may hold anything, so what counts is behind the last parenthesis.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
  } catch {
    return 0;
  }
}

/** Seconds of CPU of a node process, and of the CometBFT below it. */
export interface NodeCpu {
  readonly node: number;
  readonly engine: number;
}

export function nodeCpu(pid: number): NodeCpu {
  const [node = pid, ...below] = treeOf(pid);
  return { node: cpuSeconds(node), engine: below.reduce((sum, each) => sum + cpuSeconds(each), 0) };
}

export function since(before: NodeCpu, after: NodeCpu): NodeCpu {
  return { node: after.node - before.node, engine: after.engine - before.engine };
}
