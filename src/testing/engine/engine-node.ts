/** A node of a test engine in a process of its own (`engine-node.child.ts`). */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Placement } from '../../ledger/committed-ledger.ts';
import type { Head } from '../../ledger/close-block.ts';
import type { RawTransaction } from '../../registry/group.ts';
import type { Transaction } from '../../registry/statement.ts';
import type { EngineNode } from './engine.ts';
import { ProcessLink } from './process-link.ts';
import type { Setting } from './setting.ts';

const PROGRAM = join(import.meta.dirname, 'engine-node.child.ts');

/** Whom a node that follows asks for blocks and hands groups to: the parent chooses. */
export interface Peers {
  blocks(from: number, waitMs: number): Promise<readonly Uint8Array[]>;
  submit(group: readonly RawTransaction[]): Promise<readonly Placement[]>;
}

export function rawGroup(group: readonly Transaction[]): readonly RawTransaction[] {
  return group.map(({ statement, attachment }) => ({ statement: statement.bytes, attachment }));
}

/** Not started yet. */
export class EngineNodeProcess implements EngineNode {
  readonly name: string;
  readonly #setting: Setting;
  readonly #peers: Peers;
  #child: ChildProcess | undefined;
  #link: ProcessLink | undefined;

  constructor(name: string, setting: Setting, peers: Peers) {
    this.name = name;
    this.#setting = setting;
    this.#peers = peers;
  }

  async start(): Promise<void> {
    if (this.#child) await this.kill();
    const child = fork(PROGRAM, [], {
      serialization: 'advanced',
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    this.#child = child;
    this.#link = new ProcessLink(child, { ...this.#peers });
    await this.#ask('start', this.#setting);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** Ends its ledger in order, then the process. */
  async stop(): Promise<void> {
    if (this.#child?.connected) await this.close().catch(() => undefined);
    await this.kill();
  }

  submit(group: readonly Transaction[]): Promise<readonly Placement[]> {
    return this.submitRaw(rawGroup(group));
  }

  submitRaw(group: readonly RawTransaction[]): Promise<readonly Placement[]> {
    return this.#ask('submit', group);
  }

  blocks(from: number, waitMs = 0): Promise<readonly Uint8Array[]> {
    return this.#ask('blocks', from, waitMs);
  }

  head(): Promise<Head> {
    return this.#ask('head');
  }

  headAt(height: number): Promise<Head> {
    return this.#ask('headAt', height);
  }

  find(signingDigest: Uint8Array): Promise<Placement | undefined> {
    return this.#ask('find', signingDigest);
  }

  entry(index: number): Promise<Uint8Array> {
    return this.#ask('entry', index);
  }

  close(): Promise<void> {
    return this.#ask('close');
  }

  #ask<T>(name: string, ...args: readonly unknown[]): Promise<T> {
    if (!this.#link) throw new Error(`${this.name} was never started`);
    return this.#link.call(name, ...args);
  }
}
