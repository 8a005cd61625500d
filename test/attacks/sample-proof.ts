/** Update proofs over a SampleLedger's map: true ones, and with any part exchanged. */
import { sha256 } from '#crypto';
import { equal, hex, utf8 } from '../../src/bytes.ts';
import type { PrivateKey } from '../../src/crypto/key.ts';
import { formatCheckpoint, originOf } from '../../src/log/checkpoint.ts';
import { signCosignature } from '../../src/log/cosignature.ts';
import { epochEntry, type Epoch } from '../../src/log/epoch.ts';
import { proveMap, updateMap } from '../../src/log/map-tree.ts';
import { leafHash } from '../../src/log/merkle.ts';
import { append, inclusionPath, root as logRoot } from '../../src/log/tree.ts';
import { authorKey, lineKey, type Line } from '../../src/registry/line.ts';
import { nodesOf } from '../../src/registry/policy.ts';
import { encodeProof, type UpdateProof } from '../../src/trust/proof.ts';
import type { Provision, TrustState } from '../../src/trust/state.ts';
import { buildEnvelope } from '../../src/suit/build.ts';
import { encodeSign1 } from '../../src/cose/sign1.ts';
import type { SampleAuthor, SampleLedger, SampleRelease } from './sample-ledger.ts';
import { sampleKey } from './sample-policy.ts';

/** POSIX seconds: when heads are cosigned here, and what the reader's clock says. */
export const NOW = 1_000_000;

export interface ProofOptions {
  /** Leaves of the log, the epoch's among them. */
  readonly size?: number;
  /** Where the epoch's leaf stands: last unless said otherwise. */
  readonly epochAt?: number;
  /** Operators, or OPERATOR/NODE, whose cosigners sign. */
  readonly signers?: readonly string[];
  readonly time?: number;
  /** Of each signer, where they differ. */
  readonly times?: readonly number[];
  readonly epoch?: Partial<Epoch>;
  /** Exchanges parts after everything was signed. */
  readonly tamper?: (proof: UpdateProof) => UpdateProof;
}

/** The update proof of a line as honest operators would make it, but for the options. */
export function proveLine(
  ledger: SampleLedger,
  line: Line,
  options: ProofOptions = {},
): Uint8Array {
  const { size = 9, signers = ['o1', 'o2', 'o3'], time = NOW, tamper = (proof) => proof } = options;
  const pages = new Map<string, Uint8Array>();
  const pageStore = {
    get: (path: string) => pages.get(path),
    put: (path: string, page: Uint8Array) => void pages.set(path, page),
  };
  const entries = [...ledger.map.values()];
  const mapRoot = updateMap(
    pageStore,
    entries.map(({ key, value }) => ({ key, valueHash: sha256(value) })),
  );
  const epoch: Epoch = {
    height: 4,
    time: NOW - 10,
    mapRoot,
    stateRoot: sha256(utf8('state')),
    policyVersion: 1,
    policyHash: ledger.root.hash,
    previous: 5,
    ...options.epoch,
  };
  const epochAt = options.epochAt ?? size - 1;
  const nodes = new Map<string, Uint8Array>();
  const nodeStore = {
    get: (level: number, index: number) => nodes.get(`${level}/${index}`) ?? new Uint8Array(32),
    put: (level: number, index: number, hash: Uint8Array) =>
      void nodes.set(`${level}/${index}`, hash),
  };
  for (let i = 0; i < size; i++)
    append(nodeStore, i, leafHash(i === epochAt ? epochEntry(epoch) : sha256(utf8(`${i}`))));
  const origin = originOf(ledger.networkId);
  const checkpoint = formatCheckpoint({ origin, size, root: logRoot(nodeStore, size) });
  const { mapRoot: _, ...rest } = epoch;
  return encodeProof(
    tamper({
      size,
      cosignatures: signers.map((signer, i) => {
        const name = signer.includes('/') ? signer : `${signer}/n`;
        const at = options.times?.[i] ?? time;
        return signCosignature(cosigner(ledger, name), name, checkpoint, at);
      }),
      path: inclusionPath(nodeStore, epochAt, size),
      epoch: rest,
      lineValue: ledger.map.get(hex(lineKey(line)))?.value ?? null,
      mapProof: proveMap(pageStore, lineKey(line)),
      authorValue: ledger.map.get(hex(authorKey(line.author)))?.value ?? null,
      links: [],
    }),
  );
}

// Keys of samples follow from names; a test may have given a node the key of another.
function cosigner(ledger: SampleLedger, name: string): PrivateKey {
  const listed = nodesOf(ledger.root.policy).find((node) => node.name === name)?.node.cosigner;
  const keys = Array.from({ length: 10 }, (_, i) => sampleKey(`o${i} cosigner`));
  const key = keys.find(({ publicKey }) => listed && equal(publicKey.bytes, listed.bytes));
  return key ?? sampleKey(`${name.split('/', 1)[0]} cosigner`);
}

/** A reader made for the author's line, as its maker would. */
export function provisionFor(ledger: SampleLedger, author: SampleAuthor): Provision {
  const lines = [{ line: author.line, anchor: author.key.publicKey }];
  return { root: ledger.root, lines, staleInstall: 'never' };
}

export const NEW_READER: TrustState = {
  head: null,
  floor: 0,
  chains: [],
  lowest: [],
  confirmed: null,
};

/** The SUIT envelope of a release on the ledger: the same signature, its payload detached. */
export function envelopeOf({ statement, attachment }: SampleRelease): Uint8Array {
  const { protectedBytes, signature } = statement.sign1;
  const block = encodeSign1({ protectedBytes, payload: null, signature });
  return buildEnvelope({ manifest: attachment, authenticationBlocks: [block] });
}
