/** What a block puts into the trees, kept in memory above the stored ones until it is committed. */
import type { PageStore } from '../log/map-tree.ts';
import type { NodeStore } from '../log/tree.ts';

export interface WrittenPages extends PageStore {
  /** By path. */
  readonly written: ReadonlyMap<string, Uint8Array>;
}

export function writtenPages(below: Pick<PageStore, 'get'>): WrittenPages {
  const written = new Map<string, Uint8Array>();
  return {
    written,
    get: (path) => written.get(path) ?? below.get(path),
    put: (path, page) => void written.set(path, page),
  };
}

export interface LogNode {
  readonly level: number;
  readonly index: number;
  readonly hash: Uint8Array;
}

export interface WrittenNodes extends NodeStore {
  /** By level and index. */
  readonly written: ReadonlyMap<string, LogNode>;
}

export function writtenNodes(below: Pick<NodeStore, 'get'>): WrittenNodes {
  const written = new Map<string, LogNode>();
  const name = (level: number, index: number): string => `${level}/${index}`;
  return {
    written,
    get: (level, index) => written.get(name(level, index))?.hash ?? below.get(level, index),
    put: (level, index, hash) => void written.set(name(level, index), { level, index, hash }),
  };
}
