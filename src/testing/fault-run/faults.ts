/** What happens to the network, one thing at a time; each is over when it resolves, and everything runs again. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeGroup, REGISTRATIONS } from '../../api/registration.ts';
import { declareStatement, registerStatement } from '../../author/statements.ts';
import { codeOf } from '../../errors.ts';
import { engineRpc } from '../../ledger/cometbft/rpc.ts';
import { fixtureAuthor, fixtureLine } from '../fixture.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { CosignerWatch } from './cosigner-watch.ts';
import { DEVIATIONS, type Deviation } from './deviations.ts';
import type { Machines } from './machines.ts';
import { FOLLOWER, MEMBERS, type FaultNetwork } from './network.ts';
import type { FaultNode } from './node.ts';
import type { Violations } from './violations.ts';

export interface Scene {
  readonly network: FaultNetwork;
  readonly machines: Machines;
  readonly acknowledgements: Acknowledgements;
  readonly cosigners: CosignerWatch;
  readonly violations: Violations;
  readonly signal: AbortSignal;
  /** Entries that any node has ordered and proven, as far as was seen. */
  readonly logSize: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly say: (line: string) => void;
}

export interface Fault {
  readonly kind: string;
  /** Whether links have to be cut for it. */
  readonly cuts?: true;
  /** Whether more than f members are at fault meanwhile. */
  readonly halts?: true;
  run(scene: Scene): Promise<void>;
}

/** Milliseconds until nothing may be ordered any more once more than f are gone: what was under way is seen by then. */
const GRACE_MS = 5_000;
/** Kills in a row. */
const AGAIN = 5;

export const FAULTS: readonly Fault[] = [
  {
    kind: 'SIGKILL engine',
    async run(scene) {
      const node = oneMember(scene);
      scene.say(node.name);
      node.killEngine();
      await held(scene, 1, 4);
    },
  },
  {
    kind: 'SIGKILL application',
    async run(scene) {
      const node = oneMember(scene);
      scene.say(node.name);
      await node.kill();
      await held(scene, 0, 4);
      await node.start();
    },
  },
  {
    kind: 'SIGKILL pair',
    async run(scene) {
      const node = oneMember(scene);
      scene.say(node.name);
      await node.killPair();
      await held(scene, 0, 6);
      await node.start();
    },
  },
  {
    kind: 'SIGKILL follower',
    async run(scene) {
      const node = scene.network.node(FOLLOWER);
      await node.kill();
      await held(scene, 0, 4);
      await node.start();
    },
  },
  {
    kind: 'SIGKILL two members',
    halts: true,
    async run(scene) {
      const [first, second] = members(scene);
      scene.say(`${first.name} ${second.name}`);
      await Promise.all([first.killPair(), second.killPair()]);
      await halted(scene, 6, 10);
      await first.start();
      await second.start();
    },
  },
  {
    kind: 'SIGKILL all members',
    halts: true,
    async run(scene) {
      const all = members(scene);
      await Promise.all(all.map((node) => node.killPair()));
      await halted(scene, 0, 2);
      await Promise.all(all.map((node) => node.start()));
    },
  },
  {
    kind: 'SIGKILL again and again',
    async run(scene) {
      const node = oneMember(scene);
      scene.say(node.name);
      for (let times = 0; times < AGAIN; times++) {
        // At any moment of its life, also before it has begun.
        const starting = node.start().catch(() => undefined);
        await held(scene, 0, 3);
        if (scene.random() < 0.5) node.killEngine();
        await node.kill();
        await starting;
      }
      await node.start();
    },
  },
  {
    kind: 'partition 1|3',
    cuts: true,
    async run(scene) {
      const [alone, ...rest] = members(scene).map(({ name }) => name);
      const groups = withFollower(scene, [[alone as string], rest]);
      scene.say(groups.map((group) => group.join(' ')).join(' | '));
      await scene.machines.cut(groups);
      await held(scene, 5, 12);
      await scene.machines.heal();
    },
  },
  {
    kind: 'partition 2|2',
    cuts: true,
    halts: true,
    async run(scene) {
      const names = members(scene).map(({ name }) => name);
      const groups = withFollower(scene, [names.slice(0, 2), names.slice(2)]);
      scene.say(groups.map((group) => group.join(' ')).join(' | '));
      await scene.machines.cut(groups);
      await halted(scene, 6, 10);
      await scene.machines.heal();
    },
  },
  {
    kind: 'wiped disk',
    async run(scene) {
      const nodes = [...members(scene), scene.network.node(FOLLOWER)];
      const node = nodes[Math.floor(scene.random() * nodes.length)] as FaultNode;
      scene.say(node.name);
      await node.killPair();
      await node.lose('everything but keys and what was signed');
      await held(scene, 0, 2);
      await node.start();
    },
  },
  {
    kind: 'clock jump',
    async run(scene) {
      const node = oneMember(scene);
      const ahead = [3600, -3600, 86_400, -86_400][Math.floor(scene.random() * 4)] as number;
      scene.say(`${node.name} by ${ahead} s`);
      scene.cosigners.clockMoved(node.name);
      await node.setClock(ahead);
      await held(scene, 5, 10);
      await node.setClock(0);
    },
  },
  ...DEVIATIONS.map((deviation): Fault => ({
    kind: `Byzantine: ${deviation}`,
    run: (scene) => byzantine(scene, deviation),
  })),
];

async function byzantine(scene: Scene, deviation: Deviation): Promise<void> {
  const equivocates = deviation === 'equivocating cosigner';
  // A key that signed two roots is of no use any more (T10), and more than f of them would be too many.
  const liar = equivocates ? scene.cosigners.excused : undefined;
  const node = liar === undefined ? oneMember(scene) : scene.network.node(liar);
  scene.say(node.name);
  if (equivocates) scene.cosigners.excuse(node.name);
  await node.killPair();
  await node.start(deviation);
  const over = new AbortController();
  const flood = deviation === 'garbage' ? garbage(scene, node, over.signal) : undefined;
  await held(scene, 12, 20);
  over.abort();
  await flood;
  await node.killPair();
  if (deviation === 'garbage')
    scene.violations.check(
      scene.network.nodes.some(
        (other) =>
          other.name !== node.name &&
          other.log().some((line) => line.includes('no honest member proposes')),
      ),
      `nobody noticed what ${node.name} proposed`,
    );
  if (deviation === 'wrong app hash') {
    scene.violations.check(
      node.log().some((line) => line.includes('the engine gave up consensus')),
      `nobody noticed the wrong app hash of ${node.name}`,
    );
    // As docs/operations.md says of such a member.
    await node.lose('what is computed again');
  }
  await node.start();
}

/** Random bytes and refused statements for every engine and every node that can be reached. */
async function garbage(scene: Scene, liar: FaultNode, signal: AbortSignal): Promise<void> {
  const { network } = scene;
  await using client = network.client();
  const author = fixtureAuthor(network.root.networkId, { name: `hostile ${scene.random()}` });
  const recovery = author.recovery.map((key) => key.publicKey);
  const names = { name: 'hostile', recovery, threshold: 1 };
  const { bytes: registered } = registerStatement(author, 1n, names);
  // Nobody has registered it: refused at the door, and by every member if the liar passes it on.
  const { bytes: foreign } = declareStatement(author, 2n, fixtureLine(author.author));
  const forged = registered.map((byte, i) => (i === registered.length - 1 ? byte ^ 1 : byte));
  const groups = [foreign, forged].map((statement) =>
    encodeGroup([{ statement, attachment: null }]),
  );
  const wholes = network.nodes.filter(({ name }) => name !== FOLLOWER);
  while (!signal.aborted) {
    const random = new Uint8Array(randomBytes(1 + Math.floor(scene.random() * 3000)));
    for (const bytes of [random, ...groups]) {
      for (const node of wholes) await broadcast(node, bytes);
      const { url } = node(network, liar);
      const headers = { 'content-type': 'application/cbor' };
      const request = { method: 'POST', url: url + REGISTRATIONS, headers, maxBytes: 1 << 20 };
      await client.request({ ...request, method: 'POST', body: bytes, timeoutMs: 3_000 }).then(
        () => scene.violations.add('a hostile statement was registered'),
        (error: unknown) => {
          if (!codeOf(error)) throw error;
        },
      );
    }
    await sleep(200, undefined, { signal }).catch(() => undefined);
  }
}

/** Some other node than the liar. */
function node({ nodes }: FaultNetwork, liar: FaultNode): FaultNode {
  return nodes.find(({ name }) => name !== liar.name) as FaultNode;
}

async function broadcast({ config }: FaultNode, bytes: Uint8Array): Promise<void> {
  using rpc = engineRpc(join(config.engine.home, 'run', 'rpc.sock'));
  await rpc.call('broadcast_tx_async', { tx: bytes.toBase64() }).catch(() => undefined);
}

/** Members in a random order. */
function members({ network, random }: Scene): readonly [FaultNode, FaultNode, ...FaultNode[]] {
  const drawn = MEMBERS.map((name) => ({ node: network.node(name), at: random() }));
  const nodes = drawn.toSorted((a, b) => a.at - b.at).map((each) => each.node);
  return nodes as [FaultNode, FaultNode, ...FaultNode[]];
}

function oneMember(scene: Scene): FaultNode {
  return members(scene)[0];
}

function withFollower(
  { random }: Scene,
  groups: readonly (readonly string[])[],
): readonly (readonly string[])[] {
  const at = Math.floor(random() * groups.length);
  return groups.map((group, i) => (i === at ? [...group, FOLLOWER] : group));
}

/** Waits for so many seconds, cut short when the run ends. */
async function held({ random, signal }: Scene, least: number, most: number): Promise<void> {
  const ms = 1000 * (least + random() * (most - least));
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

/** Likewise; nothing may be ordered meanwhile, and receipts are only for what was ordered before. */
async function halted(scene: Scene, least: number, most: number): Promise<void> {
  const { acknowledgements, violations, signal, logSize } = scene;
  await sleep(GRACE_MS, undefined, { signal }).catch(() => undefined);
  const size = logSize();
  await held(scene, least, most);
  violations.check(
    logSize() === size && acknowledgements.all.every(({ index }) => index < size),
    'statements were ordered without two thirds of the members',
  );
}
