/** Two nodes as processes that faults can end, and what must hold after every crash. */
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeCosignatures, PEER_COSIGNATURES } from '../api/peer.ts';
import { decodeRegistered, entryPath, MAX_REGISTRATION } from '../api/registration.ts';
import type { Receipted } from '../author/registration.ts';
import { hex, text } from '../bytes.ts';
import { openDatabase, type Database } from '../database.ts';
import { openCosignerRecord } from '../ledger/cosigner-record.ts';
import { openReplica, type Replica } from '../ledger/replica.ts';
import { parseCheckpoint } from '../log/checkpoint.ts';
import { parseNote } from '../log/note.ts';
import type { Client } from '../net/client.ts';
import { openDiskStore } from '../store/disk.ts';
import { FaultFile } from './faults.ts';
import { dumped } from './ledger-fixture.ts';
import type { TestNetwork } from './network.ts';
import { startNodeProcess, type RunningCommand } from './processes.ts';

const PROGRAM = join(import.meta.dirname, 'faulty-node.child.ts');
const WAIT_MS = 40_000;

/** A node that is started again each time that a fault ended it. */
export class CrashingNode {
  readonly name: string;
  readonly fault: FaultFile;
  readonly #network: TestNetwork;
  #process: RunningCommand | undefined;

  constructor(network: TestNetwork, name: string) {
    this.name = name;
    this.#network = network;
    this.fault = new FaultFile(join(network.folder, `fault-${name.replace('/', '-')}`));
  }

  /** Does nothing when it runs. */
  async start(): Promise<void> {
    this.#process ??= await startNodeProcess(this.#network.configFile(this.name), {
      program: PROGRAM,
      env: this.fault.env,
    });
  }

  /** A start that the armed fault ends before the node listens. */
  async startInVain(): Promise<void> {
    await assert.rejects(this.start(), /ended \(SIGKILL\)/);
    assert.ok(!this.fault.armed, `${this.name} never came to the fault`);
  }

  /** Resolves once the armed fault has ended the process. */
  async crashed(): Promise<void> {
    const node = this.#process;
    assert.ok(node);
    const late = sleep(WAIT_MS, undefined, { ref: false }).then(() => undefined);
    const end = await Promise.race([node.ended, late]);
    assert.ok(end, `${this.name} never came to the fault\n${node.log().join('\n')}`);
    assert.equal(end.signal, 'SIGKILL', node.log().join('\n'));
    assert.ok(!this.fault.armed);
    this.#process = undefined;
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
    this.#process = undefined;
  }
}

/** What anybody outside has been told, which no crash may contradict. */
export class Promises {
  readonly #network: TestNetwork;
  readonly #client: Client;
  readonly #peer: Client;
  readonly #acknowledged: Receipted[] = [];
  /** By NAME SIZE: the root that was cosigned. */
  readonly #cosigned = new Map<string, string>();

  /** `peer`: the node with whose key the others' cosignatures are asked for. */
  constructor(network: TestNetwork, peer: string) {
    this.#network = network;
    this.#client = network.client();
    this.#peer = network.client(peer);
  }

  /** Statements whose receipts were verified. */
  acknowledge(entries: readonly Receipted[]): void {
    this.#acknowledged.push(...entries);
  }

  get acknowledged(): number {
    return this.#acknowledged.length;
  }

  /** Takes in the cosignatures that a running node gives to another. */
  async observe(node: string): Promise<void> {
    const { body } = await this.#peer.request({
      url: this.#network.url(node, PEER_COSIGNATURES),
      maxBytes: 1 << 20,
    });
    for (const { name, size, root } of decodeCosignatures(body)) {
      const key = `${name} ${size}`;
      const before = this.#cosigned.get(key) ?? hex(root);
      assert.equal(hex(root), before, `${name} cosigned two roots of size ${size}`);
      this.#cosigned.set(key, before);
    }
  }

  /** The folder of a node that does not run: ledger, record and store are whole and keep every promise. */
  async checkDisk(node: string): Promise<void> {
    const { data, record: file } = this.#network.config(node);
    const database = openDatabase(join(data, 'ledger.db'));
    try {
      const replica = openReplica(database, this.#network.genesis);
      this.#checkReplica(replica, rowsOf(database));
      const key = this.#network.keys(node).cosigner;
      const last = openCosignerRecord({ file, key, name: node, replica }).last();
      for (const [signed, root] of this.#cosigned) {
        const [name, size] = signed.split(' ');
        if (name !== node) continue;
        assert.ok(
          Number(size) <= last.size,
          `${node} signed size ${size}, its record says ${last.size}`,
        );
        if (Number(size) === last.size) assert.equal(root, hex(last.root));
      }
    } finally {
      database.close();
    }
    const damaged: string[] = [];
    const store = await openDiskStore(join(data, 'blocks'), {
      onDamaged: (cid) => damaged.push(hex(cid)),
    });
    for await (const cid of store.list()) assert.ok(await store.get(cid));
    assert.deepEqual(damaged, []);
  }

  // Statements, log, map and state are what a replica derives that never crashed.
  #checkReplica(replica: Replica, rows: string): void {
    const database = openDatabase(':memory:');
    const fresh = openReplica(database, this.#network.genesis);
    const { height } = replica.head();
    for (let next = 1; next <= height; next++) fresh.append(replica.block(next));
    assert.deepEqual(replica.head(), fresh.head());
    assert.equal(rows, rowsOf(database));
    database.close();
  }

  /** All nodes that run answer for everything acknowledged, and stand at one root. */
  async checkServed(nodes: readonly string[], last = Infinity): Promise<void> {
    for (const node of nodes)
      for (const { statement, index } of this.#acknowledged.slice(-last)) {
        const path = entryPath(statement.signingDigest);
        const { body } = await this.#client.request({
          url: this.#network.url(node, path),
          maxBytes: MAX_REGISTRATION,
        });
        const [entry] = decodeRegistered(body).entries;
        assert.equal(entry?.index, index, `${node} has a statement at another index`);
        assert.deepEqual(entry?.entry, statement.entry);
      }
    await this.#checkRoots(nodes);
  }

  async #checkRoots(nodes: readonly string[]): Promise<void> {
    const read = async (node: string): Promise<string> => {
      const { body } = await this.#client.request({
        url: this.#network.url(node, '/checkpoint'),
        maxBytes: 65_536,
      });
      const { size, root } = parseCheckpoint(parseNote(text(body)).text);
      return `${size} ${hex(root)}`;
    };
    const end = performance.now() + WAIT_MS;
    for (;;) {
      const heads = await Promise.all(nodes.map((node) => read(node).catch(String)));
      if (heads.every((head) => head === heads[0] && /^\d+ /.test(head))) return;
      const sizes = new Map(heads.map((head) => head.split(' ') as [string, string]));
      for (const head of heads) {
        const [size = '', root] = head.split(' ');
        if (/^\d+$/.test(size)) assert.equal(sizes.get(size), root, 'two roots of one size');
      }
      assert.ok(performance.now() < end, `heads stay apart: ${heads.join(', ')}`);
      await sleep(100);
    }
  }
}

// What was pruned of the map's past is another matter.
function rowsOf(database: Database): string {
  const lines = dumped(database).split('\n');
  const names = lines.filter((line) => !line.startsWith('['));
  return names
    .filter((name) => !name.endsWith('_undo'))
    .flatMap((name) => {
      const from = lines.indexOf(name);
      const rows = lines.slice(from + 1);
      const end = rows.findIndex((line) => !line.startsWith('['));
      return [name, ...rows.slice(0, end === -1 ? undefined : end)];
    })
    .filter((line) => !line.startsWith('["pruned"'))
    .join('\n');
}

/** Where a block of a node's store lies. */
export function blocksFolder(network: TestNetwork, node: string): string {
  return join(dirname(network.configFile(node)), 'data', 'blocks');
}
