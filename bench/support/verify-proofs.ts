/** Verifies the proofs in a file: in this process, or as a program of its own under another `#crypto`. */
import { readFileSync } from 'node:fs';
import { fromHex } from '../../src/bytes.ts';
import { parseLineText } from '../../src/registry/line.ts';
import { parseRoot } from '../../src/registry/root.ts';
import { verifyProof } from '../../src/trust/proof.ts';

interface File {
  readonly root: string;
  readonly proofs: readonly { readonly line: string; readonly proof: string }[];
}

/** Milliseconds that one verification takes, the median over all. */
export function verificationMs(path: string): number {
  const file = JSON.parse(readFileSync(path, 'utf8')) as File;
  const root = parseRoot(fromHex(file.root));
  const proofs = file.proofs.map(({ line, proof }) => ({
    line: parseLineText(line),
    bytes: fromHex(proof),
  }));
  const times: number[] = [];
  for (let round = 0; round < 3; round++)
    for (const { line, bytes } of proofs) {
      const began = performance.now();
      verifyProof(root, line, bytes);
      times.push(performance.now() - began);
    }
  return times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN;
}

if (import.meta.main) console.log(verificationMs(process.argv[2] as string));
