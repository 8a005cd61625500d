/**
 * The consortium engine: registrations with their receipts beside CometBFT's own kvstore, what they cost, what happens
 * when a validator is gone, and how new nodes catch up.
 */
import { cometBinary } from '../src/testing/cometbft.ts';
import { measureChain } from './support/long-chain.ts';
import { consortiumRows } from './support/consortium-load.ts';
import { measureKvstore } from './support/kvstore.ts';
import { quantile } from './support/load.ts';
import { readerRows } from './support/reader-latency.ts';
import type { BenchOptions, Row } from './support/row.ts';
import { signatureRows } from './support/signature-cost.ts';

/** Of a release.register with its manifest, as one transaction. */
const BYTES = 900;
const IN_FLIGHT = 64;
/** Registrations with receipts for each transaction of the kvstore. */
const AIM = 0.35;

export async function rows(options: BenchOptions): Promise<readonly Row[]> {
  const binary = await cometBinary();
  if (binary === undefined) {
    options.say('no CometBFT: scripts/install-cometbft gets it');
    return [];
  }
  const rows: Row[] = [];
  for (const validators of options.quick ? [1, 4] : [1, 4, 7])
    rows.push(...(await beside(options, binary, validators)));
  rows.push(...(await signatureRows(options)));
  rows.push(...(await readerRows(options)));
  rows.push(...(await measureChain(options, binary)));
  return rows;
}

/** The kvstore before and after, so that both meet the same machine. */
async function beside(
  options: BenchOptions,
  binary: string,
  validators: number,
): Promise<readonly Row[]> {
  const { quick, say } = options;
  const inFlight = quick ? 16 : IN_FLIGHT;
  const seconds = quick ? 1 : 6;
  const kvstore = { binary, validators, bytes: BYTES, inFlight, seconds };
  say(`${validators} validators: kvstore`);
  const before = await measureKvstore(kvstore);
  const { rate, rows } = await consortiumRows(options, validators, inFlight);
  say(`${validators} validators: kvstore again`);
  const after = quick ? before : await measureKvstore(kvstore);
  const theirs = (before.rate + after.rate) / 2;
  const latencies = [...before.latencies, ...after.latencies].toSorted((a, b) => a - b);
  return [
    ...rows,
    {
      name: `  CometBFT's kvstore, the same configuration`,
      value: theirs,
      unit: '/s',
      note: `broadcast_tx_sync, ${BYTES} B, ${inFlight} in flight until seen in a block; ${quick ? 'before' : 'before and after'} ours`,
    },
    { name: '  until in a block, median', value: quantile(latencies, 0.5), unit: 'ms' },
    {
      name: '  ratio',
      value: rate / theirs,
      unit: '',
      ...(validators === 4 && { aim: { atLeast: AIM } }),
    },
  ];
}
