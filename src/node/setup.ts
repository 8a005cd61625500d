/** A new network: keys for every node and operator, genesis, one folder an operator with its own secrets only. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { privateKey } from '#crypto';
import { hex } from '../bytes.ts';
import { encodeKey, encodePrivateKey } from '../cose/key.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { fail } from '../errors.ts';
import { createTlsIdentity, type TlsIdentity } from '../net/tls.ts';
import { createGenesis, type Genesis } from '../registry/genesis.ts';
import type { Mode, Operator, Policy, PolicyNode, Role } from '../registry/policy.ts';
import type { EngineMember, Orderer } from '../registry/orderer.ts';
import { createRoot } from '../registry/root.ts';
import type { EngineKeys } from './config.ts';
import { engineKeys, engineKeysJson, memberOf, type PlannedMember } from './engine-member.ts';
import type { Replicate } from './holding.ts';

/** What `network init` reads: who takes part. Names as in docs/spec/genesis.md. */
export interface NetworkPlan {
  readonly mode: Mode;
  readonly quorum: number;
  readonly copies: number;
  readonly copiesElsewhere: number;
  readonly threshold: number;
  /** Seconds. */
  readonly maxAge: number;
  readonly maxHold: number;
  readonly skew: number;
  /** `local` unless said otherwise. */
  readonly engine?: Orderer['engine'];
  /** OPERATOR/NODE under the local engine; empty under another. */
  readonly orderer: string;
  readonly operators: readonly PlannedOperator[];
  /** Of mode private only (T07); no unless said otherwise. */
  readonly pskAuthors?: boolean;
}

export interface PlannedOperator {
  readonly name: string;
  readonly kind: 'author' | 'non-author';
  readonly nodes: readonly PlannedNode[];
}

export interface PlannedNode {
  readonly name: string;
  readonly roles: readonly Role[];
  /** Where others reach it: https://HOST:PORT. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly replicate?: Replicate;
  /** Its part in the consortium engine; under the local one it is only made ready for it. */
  readonly engine?: PlannedMember;
}

interface MadeNode {
  readonly planned: PlannedNode;
  readonly tls: TlsIdentity;
  readonly cosigner: PrivateKey;
  readonly receipt: PrivateKey;
  readonly statement: PrivateKey;
  readonly engine: EngineKeys | undefined;
}

interface MadeOperator {
  readonly planned: PlannedOperator;
  readonly governance: PrivateKey;
  readonly nodes: readonly MadeNode[];
}

export interface MadeNetwork {
  readonly genesis: Genesis;
  /** Configuration file of each node, by OPERATOR/NODE. */
  readonly configs: ReadonlyMap<string, string>;
  readonly rootFile: string;
}

/**
 * Writes a network into `directory`: genesis.cbor, root.cbor, and OPERATOR/ with governance.key and NODE/ with
 * config.json and keys.json. `time` in POSIX seconds. Errors: POLICY_*; NODE_NETWORK_EXISTS, and what is there stays
 * as it is.
 */
export async function createNetwork(
  plan: NetworkPlan,
  directory: string,
  time: number,
): Promise<MadeNetwork> {
  const operators: MadeOperator[] = [];
  for (const planned of plan.operators.toSorted(byName))
    operators.push(await makeOperator(planned));
  const genesis = createGenesis(time, policyOf(plan, operators));
  mkdirSync(directory, { recursive: true });
  // First of all, and never over another: what a network begins with can't be made again.
  begin(join(directory, 'genesis.cbor'), genesis.bytes);
  const rootFile = join(directory, 'root.cbor');
  writeFileSync(rootFile, createRoot(genesis.networkId, genesis.policy).bytes, { flag: 'wx' });
  const configs = new Map<string, string>();
  for (const operator of operators) {
    for (const [name, path] of writeOperator(operator, directory, genesis)) configs.set(name, path);
  }
  return { genesis, configs, rootFile };
}

/**
 * Keys and folders of an operator that joins a network: DIRECTORY/OPERATOR as `createNetwork` writes it. Answers what the
 * others are told of it, and the configuration file of each node.
 */
export async function createOperator(
  planned: PlannedOperator,
  directory: string,
  genesis: Genesis,
): Promise<{ readonly operator: Operator; readonly configs: ReadonlyMap<string, string> }> {
  const made = await makeOperator(planned);
  const configs = new Map(writeOperator(made, directory, genesis));
  return { operator: policyOperator(made), configs };
}

function begin(path: string, bytes: Uint8Array): void {
  try {
    writeFileSync(path, bytes, { flag: 'wx' });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    fail('NODE_NETWORK_EXISTS', undefined, { path }, cause);
  }
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

async function makeOperator(planned: PlannedOperator): Promise<MadeOperator> {
  const nodes: MadeNode[] = [];
  for (const node of planned.nodes.toSorted(byName)) {
    nodes.push({
      planned: node,
      tls: await createTlsIdentity({ name: `${planned.name}/${node.name}`, hosts: [node.host] }),
      cosigner: freshKey(),
      receipt: freshKey(),
      statement: freshKey(),
      engine: node.engine && engineKeys(),
    });
  }
  return { planned, governance: freshKey(), nodes };
}

function freshKey(): PrivateKey {
  return privateKey('Ed25519', new Uint8Array(randomBytes(32)));
}

function ordererOf(plan: NetworkPlan, operators: readonly MadeOperator[]): Orderer {
  if (plan.engine === 'cometbft') {
    const members = operators.flatMap(({ planned, nodes }) =>
      nodes.flatMap(({ planned: { name, engine: part }, engine: keys }): readonly EngineMember[] =>
        part && keys ? [memberOf(`${planned.name}/${name}`, keys, part)] : [],
      ),
    );
    return { engine: 'cometbft', chain: 1, members };
  }
  const [operator = '', node = ''] = plan.orderer.split('/');
  return { engine: 'local', operator, node };
}

function policyOf(plan: NetworkPlan, operators: readonly MadeOperator[]): Policy {
  return {
    version: 1,
    mode: plan.mode,
    operators: operators.map(policyOperator),
    threshold: plan.threshold,
    quorum: plan.quorum,
    copies: plan.copies,
    copiesElsewhere: plan.copiesElsewhere,
    maxAge: plan.maxAge,
    maxHold: plan.maxHold,
    skew: plan.skew,
    registration: 'open',
    pskAuthors: plan.pskAuthors ?? false,
    vendorProof: false,
    orderer: ordererOf(plan, operators),
  };
}

function policyOperator({ planned, governance, nodes }: MadeOperator): Operator {
  return {
    name: planned.name,
    kind: planned.kind,
    governance: encodeKey(governance.publicKey),
    nodes: nodes.map((node): PolicyNode => ({
      name: node.planned.name,
      roles: node.planned.roles.toSorted(),
      url: node.planned.url,
      spki: node.tls.spkiSha256,
      cosigner: node.cosigner.publicKey,
      receipt: node.receipt.publicKey,
      statement: node.statement.publicKey,
    })),
  };
}

function writeOperator(
  operator: MadeOperator,
  directory: string,
  genesis: Genesis,
): readonly [string, string][] {
  const home = join(directory, operator.planned.name);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  writeSecret(join(home, 'governance.key'), encodePrivateKey(operator.governance));
  return operator.nodes.map((node) => {
    const folder = join(home, node.planned.name);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, 'genesis.cbor'), genesis.bytes);
    const keys = {
      tls: { certificate: node.tls.certificatePem, key: node.tls.privateKeyPem },
      cosigner: hex(encodePrivateKey(node.cosigner)),
      receipt: hex(encodePrivateKey(node.receipt)),
      statement: hex(encodePrivateKey(node.statement)),
      ...(node.engine && engineKeysJson(node.engine)),
    };
    writeSecret(join(folder, 'keys.json'), `${JSON.stringify(keys, null, 2)}\n`);
    const name = `${operator.planned.name}/${node.planned.name}`;
    const config = {
      node: name,
      genesis: 'genesis.cbor',
      keys: 'keys.json',
      data: 'data',
      record: 'cosigner-record',
      listen: { host: node.planned.host, port: node.planned.port },
      replicate: node.planned.replicate ?? 'assigned',
      ...(node.planned.engine && { engine: { home: 'engine' } }),
    };
    const path = join(folder, 'config.json');
    writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`);
    return [name, path];
  });
}

function writeSecret(path: string, content: Uint8Array | string): void {
  writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
}
