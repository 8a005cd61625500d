/** Durable registrations a second over HTTPS, receipts included (T12). */
import { startBenchNetwork } from './support/bench-network.ts';
import { checkReceipts, makeLane, quantile, send } from './support/load.ts';
import type { BenchOptions, Row } from './support/row.ts';

const IN_FLIGHT = 64;

export async function rows(options: BenchOptions): Promise<readonly Row[]> {
  return [
    ...(await measure(options, 1, 'one orderer', { atLeast: 1000 })),
    ...(await measure(options, 4, 'orderer and 3 followers')),
  ];
}

async function measure(
  { quick, say }: BenchOptions,
  operators: number,
  what: string,
  aim?: Row['aim'],
): Promise<readonly Row[]> {
  await using network = await startBenchNetwork({ operators });
  const inFlight = quick ? 8 : IN_FLIGHT;
  const each = quick ? 5 : 150;
  say(`${what}: signing ${inFlight * each} releases`);
  const { networkId } = network.genesis;
  const lanes = Array.from({ length: inFlight }, (_, i) =>
    makeLane(networkId, `author ${i}`, each),
  );
  say(`${what}: ${inFlight} in flight`);
  const sent = await send(network.port, lanes, quick ? 5 : 20);
  const others = Object.entries(sent.others).map(
    ([status, count]) => `${count} answered ${status}`,
  );
  checkReceipts(network.root, sent);
  const note = [
    `release.register with its manifest, Ed25519, ${sent.done} in ${sent.seconds.toFixed(1)} s, each receipt verified`,
    `${inFlight} in flight from one other process on the same cores`,
    ...others,
  ].join('; ');
  return [
    {
      name: `registrations, ${what}`,
      value: sent.done / sent.seconds,
      unit: '/s',
      note,
      ...(aim && { aim }),
    },
    { name: `  until the receipt, median`, value: quantile(sent.latencies, 0.5), unit: 'ms' },
    { name: `  until the receipt, 99 %`, value: quantile(sent.latencies, 0.99), unit: 'ms' },
  ];
}
