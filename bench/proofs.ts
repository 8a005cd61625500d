/** Size of update proofs, and how long a device takes to verify one (T16). */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openDatabase } from '../src/database.ts';
import { openReplica } from '../src/ledger/replica.ts';
import { formatCheckpoint } from '../src/log/checkpoint.ts';
import { signCosignature } from '../src/log/cosignature.ts';
import { Answers } from '../src/node/answers.ts';
import { Heads } from '../src/node/heads.ts';
import { decodeLatest } from '../src/api/retrieval.ts';
import { lineText } from '../src/registry/line.ts';
import { bigLedger, type BigLedger } from './support/big-ledger.ts';
import { quantile } from './support/load.ts';
import type { BenchOptions, Row } from './support/row.ts';
import { verificationMs } from './support/verify-proofs.ts';

const SAMPLED = 200;

export async function rows(options: BenchOptions): Promise<readonly Row[]> {
  if (options.quick) return measure(await bigLedger(1_000, 50, options), '10^3');
  return [
    ...measure(await bigLedger(1_000, 100, options), '10^3'),
    ...measure(await bigLedger(1_000_000, 10_000, options), '10^6'),
  ];
}

function measure(ledger: BigLedger, size: string): readonly Row[] {
  const proofs = proofsOf(ledger);
  const sizes = [...proofs.values()].map((proof) => proof.length).toSorted((a, b) => a - b);
  const step = Math.max(1, Math.floor(ledger.lines.length / SAMPLED));
  const sample = ledger.lines.filter((_, i) => i % step === 0);
  const input = sample.map((line) => ({
    line: lineText(line),
    proof: (proofs.get(lineText(line)) as Uint8Array).toHex(),
  }));
  const file = join(dirname(ledger.database), 'proofs.json');
  writeFileSync(file, JSON.stringify({ root: ledger.root.bytes.toHex(), proofs: input }));
  const k = ledger.genesis.policy.quorum;
  const at = `${size} entries`;
  return [
    {
      name: `proof, ${at}, largest of ${proofs.size} lines`,
      value: sizes.at(-1) ?? 0,
      unit: 'B',
      aim: { atMost: 1792 },
      note: `k = ${k}, without links; ${ledger.note}`,
    },
    { name: `proof, ${at}, median`, value: quantile(sizes, 0.5), unit: 'B' },
    {
      name: `verification, ${at}, native, median`,
      value: verificationMs(file),
      unit: 'ms',
      aim: { atMost: 1 },
    },
    { name: `verification, ${at}, portable, median`, value: portable(file), unit: 'ms' },
  ];
}

function proofsOf(ledger: BigLedger): ReadonlyMap<string, Uint8Array> {
  const database = openDatabase(ledger.database);
  try {
    const replica = openReplica(database, ledger.genesis);
    const heads = new Heads(replica, () => ledger.root, ledger.orderer);
    const { size, root, time } = replica.head();
    const checkpoint = formatCheckpoint({ origin: replica.origin, size, root });
    for (const [name, { cosigner }] of ledger.keys) {
      const { signature } = signCosignature(cosigner, name, checkpoint, time + 60);
      heads.add({ size, root, name, time: time + 60, signature });
    }
    heads.refresh();
    const answers = new Answers(replica, heads);
    return new Map(
      ledger.lines.map((line) => [
        lineText(line),
        decodeLatest(answers.latest(line).body).proof.slice(),
      ]),
    );
  } finally {
    database.close();
  }
}

// The implementation of #crypto is chosen when a process starts.
function portable(file: string): number {
  const program = join(import.meta.dirname, 'support/verify-proofs.ts');
  const { stdout, stderr } = spawnSync(process.execPath, ['--conditions=portable', program, file], {
    encoding: 'utf8',
  });
  const ms = Number(stdout);
  if (!(ms > 0)) throw new Error(`the portable verification failed: ${stderr}`);
  return ms;
}
