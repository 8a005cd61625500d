/** Ten times as many registrations at once as a node lets in: how long those wait that are let in, and `latest`. */
import { latestPath } from '../src/api/retrieval.ts';
import { fixtureAuthor, fixtureLine } from '../src/testing/fixture.ts';
import { startBenchNetwork } from './support/bench-network.ts';
import { get, openConnection } from './support/connection.ts';
import { makeLane, quantile, send } from './support/load.ts';
import type { BenchOptions, Row } from './support/row.ts';

const LET_IN = 32;

export async function rows({ quick, say }: BenchOptions): Promise<readonly Row[]> {
  await using network = await startBenchNetwork({
    operators: 1,
    config: { registrations: LET_IN },
  });
  const { networkId } = network.genesis;
  const callers = quick ? 2 * LET_IN : 10 * LET_IN;
  const each = quick ? 2 : 30;
  say(`signing ${callers * each} releases`);
  const lanes = Array.from({ length: callers }, (_, i) => makeLane(networkId, `author ${i}`, each));
  const path = latestPath(
    fixtureLine(fixtureAuthor(networkId, { name: 'author 0', curve: 'Ed25519' }).author),
  );
  const waits: number[] = [];
  const over = new AbortController();
  const asking = (async () => {
    using connection = await openConnection(network.port);
    while (!over.signal.aborted) {
      const began = performance.now();
      await connection.request(get(path, 'localhost'));
      waits.push(performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  const sent = await send(network.port, lanes, quick ? 3 : 15, LET_IN / 2);
  over.abort();
  await asking;
  waits.sort((a, b) => a - b);
  const refused = sent.others['503'] ?? 0;
  const note = `${callers} callers that come again every 20 ms, ${LET_IN} let in at once: ${sent.done} with receipts, ${refused} answered 503`;
  return [
    { name: 'overloaded: registrations', value: sent.done / sent.seconds, unit: '/s', note },
    {
      name: '  until the receipt, 99 %',
      value: quantile(sent.latencies, 0.99),
      unit: 'ms',
      aim: { atMost: 1000 },
    },
    { name: '  latest meanwhile, 99 %', value: quantile(waits, 0.99), unit: 'ms' },
  ];
}
