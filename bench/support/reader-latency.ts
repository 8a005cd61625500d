/** How long devices wait at a retrieval node, that is no member, while the registration nodes are under full load. */
import { setTimeout as sleep } from 'node:timers/promises';
import { latestPath } from '../../src/api/retrieval.ts';
import { nodesOf } from '../../src/registry/policy.ts';
import { fixtureAuthor, fixtureLine } from '../../src/testing/fixture.ts';
import { portOf, startBenchNetwork } from './bench-network.ts';
import { get, openConnection } from './connection.ts';
import { lanesOf, portsOf } from './consortium-load.ts';
import { makeLane, quantile, send } from './load.ts';
import type { BenchOptions, Row } from './row.ts';

const READER = 'd/n2';
/** Milliseconds between two questions. */
const PAUSE = 10;

export async function readerRows({ quick, say }: BenchOptions): Promise<readonly Row[]> {
  await using network = await startBenchNetwork({
    operators: 4,
    consortium: 'in force',
    followers: 1,
    roles: (name) => (name === READER ? ['retrieval'] : ['general', 'registration', 'retrieval']),
  });
  const members = nodesOf(network.genesis.policy)
    .map(({ name }) => name)
    .filter((name) => name !== READER);
  const seconds = quick ? 1 : 8;
  const { networkId } = network.genesis;
  await send(network.port, [makeLane(networkId, 'known', 1)], 10);
  const port = portOf(network.plan, READER);
  const author = fixtureAuthor(networkId, { name: 'known', curve: 'Ed25519' });
  const path = latestPath(fixtureLine(author.author));
  await untilThere(port, path);
  const lanes = lanesOf(network, 'author', quick ? 8 : 64, seconds);

  say('a retrieval node while nobody registers');
  const idle = await latencies(port, path, sleep(seconds * 1000));
  say('a retrieval node under full load of the others');
  const sending = send(portsOf(network, members), lanes, seconds);
  const loaded = await latencies(port, path, sending);
  const { done, seconds: took } = await sending;
  const note = `one question after the other, ${PAUSE} ms apart`;
  return [
    ...quantiles('latest at a retrieval node, idle', idle, note),
    ...quantiles(
      'latest at a retrieval node, registrations at full load',
      loaded,
      `${note}; ${Math.round(done / took)} registrations/s meanwhile, on the same cores: most of it is waiting for a core`,
    ),
  ];
}

function quantiles(name: string, times: readonly number[], note: string): readonly Row[] {
  return [
    { name: `${name}, median`, value: quantile(times, 0.5), unit: 'ms', note },
    { name: '  99 %', value: quantile(times, 0.99), unit: 'ms' },
  ];
}

async function untilThere(port: number, path: string): Promise<void> {
  using connection = await openConnection(port);
  for (let tries = 0; tries < 300; tries++) {
    if ((await connection.request(get(path, 'localhost'))).status === 200) return;
    await sleep(100);
  }
  throw new Error('the retrieval node does not follow');
}

/** Sorted milliseconds of every answer until `end` is settled. */
async function latencies(
  port: number,
  path: string,
  end: Promise<unknown>,
): Promise<readonly number[]> {
  const times: number[] = [];
  const over = new AbortController();
  void end.finally(() => over.abort()).catch(() => undefined);
  using connection = await openConnection(port);
  const request = get(path, 'localhost');
  while (!over.signal.aborted) {
    const asked = performance.now();
    const { status } = await connection.request(request);
    if (status !== 200) throw new Error(`the retrieval node answered ${status}`);
    times.push(performance.now() - asked);
    await sleep(PAUSE);
  }
  return times.toSorted((a, b) => a - b);
}
