/** `latest` answers and TLS handshakes a second, beside a bare node:https server with the same bytes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { latestPath } from '../src/api/retrieval.ts';
import { readNodeConfig } from '../src/node/config.ts';
import { fixtureAuthor, fixtureLine } from '../src/testing/fixture.ts';
import { startBareServer } from './support/bare-server.ts';
import { startBenchNetwork } from './support/bench-network.ts';
import { get, openConnection } from './support/connection.ts';
import { makeLane, send } from './support/load.ts';
import type { BenchOptions, Row } from './support/row.ts';
import { getLoad } from './support/wrk.ts';

export async function rows({ quick }: BenchOptions): Promise<readonly Row[]> {
  await using network = await startBenchNetwork({ operators: 1 });
  const { networkId } = network.genesis;
  await send(network.port, [makeLane(networkId, 'author', 1)], 10);
  const author = fixtureAuthor(networkId, { name: 'author', curve: 'Ed25519' });
  const path = latestPath(fixtureLine(author.author));
  using connection = await openConnection(network.port);
  const answer = await connection.request(get(path, 'localhost'));
  if (answer.status !== 200) throw new Error(`latest answered ${answer.status}`);
  const file = join(network.folder, 'latest.cbor');
  writeFileSync(file, answer.body);
  await using bare = await startBareServer(
    readNodeConfig(network.config(network.plan.orderer)).keys,
    file,
  );

  const seconds = quick ? 1 : 5;
  const rounds = quick ? 1 : 3;
  const compare = async (
    fresh: boolean,
  ): Promise<{ ours: number; bare: number; generator: string }> => {
    const ours: number[] = [];
    const others: number[] = [];
    let generator = '';
    // In turns, so that both meet the same machine.
    for (let round = 0; round < rounds; round++) {
      others.push((await getLoad(bare.port, '/', { seconds, fresh })).rate);
      const load = await getLoad(network.port, path, { seconds, fresh });
      ours.push(load.rate);
      generator = load.generator;
    }
    return { ours: median(ours), bare: median(others), generator };
  };
  const kept = await compare(false);
  const fresh = await compare(true);
  const note = `${answer.body.length} B, ${kept.generator}; median of ${rounds} rounds of ${seconds} s in turns`;
  return [
    { name: 'latest answers', value: kept.ours, unit: '/s', note },
    { name: '  bare node:https server', value: kept.bare, unit: '/s' },
    { name: '  ratio', value: kept.ours / kept.bare, unit: '', aim: { atLeast: 0.4 } },
    {
      name: 'full TLS handshakes with one latest answer',
      value: fresh.ours,
      unit: '/s',
      note: fresh.generator,
    },
    { name: '  bare node:https server', value: fresh.bare, unit: '/s' },
    { name: '  ratio', value: fresh.ours / fresh.bare, unit: '' },
  ];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
