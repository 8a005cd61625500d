import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FirmamentError } from '../errors.ts';
import { fixtureNetwork } from '../testing/fixture.ts';
import { askUntil, nodesWithRole, openNetwork } from './network.ts';

const { root } = fixtureNetwork({
  roles: (name) => (name === 'a/n1' ? ['retrieval'] : ['registration']),
});
const nodes = nodesWithRole(root, 'registration');
const patience = { timeoutMs: 50 };

test('a node that fails in passing is followed by the next', async () => {
  await using network = openNetwork(root, { pause: 5 });
  const asked: string[] = [];
  const answer = await askUntil(network, nodes, patience, async ({ name }) => {
    asked.push(name);
    if (name === 'b/n1') throw new FirmamentError('NET_UNREACHABLE');
    return name === 'd/n1' ? 'here' : undefined;
  });
  assert.equal(answer, 'here');
  assert.deepEqual(asked, ['b/n1', 'c/n1', 'd/n1']);
});

test('a node that was away is asked last from then on, and still asked', async () => {
  await using network = openNetwork(root, { pause: 5 });
  const asked: string[] = [];
  const ask = async ({ name }: { readonly name: string }): Promise<string> => {
    asked.push(name);
    if (name === 'b/n1') throw new FirmamentError('LEDGER_UNORDERED');
    if (name === 'c/n1') throw new FirmamentError('NODE_NO_QUORUM');
    return name;
  };
  for (let i = 0; i < 2; i++) assert.equal(await askUntil(network, nodes, patience, ask), 'd/n1');
  assert.deepEqual(asked, ['b/n1', 'c/n1', 'd/n1', 'c/n1', 'd/n1']);
  await askUntil(network, nodes.slice(0, 1), patience, ask).catch(() => undefined);
  assert.equal(asked.at(-1), 'b/n1');
});

test('a refusal of the request itself ends it at once', async () => {
  await using network = openNetwork(root, { pause: 5 });
  let asked = 0;
  const ask = askUntil(network, nodes, patience, async () => {
    asked++;
    throw new FirmamentError('RELEASE_SEQUENCE');
  });
  await assert.rejects(ask, { code: 'RELEASE_SEQUENCE' });
  assert.equal(asked, 1);
});

test('it ends when its time is over, or when it is given up', async () => {
  await using network = openNetwork(root, { pause: 5 });
  const never = async (): Promise<undefined> => undefined;
  await assert.rejects(askUntil(network, nodes, patience, never), { code: 'AUTHOR_TIMEOUT' });
  const signal = AbortSignal.abort();
  const given = askUntil(network, nodes, { timeoutMs: 50, signal }, never);
  await assert.rejects(given, { code: 'NET_ABORTED' });
});

test('a server that the root does not name is not spoken to', async () => {
  await using network = openNetwork(root);
  const ask = network.client.request({ url: 'https://127.0.0.1:1/', maxBytes: 10 });
  await assert.rejects(ask, { code: 'NET_PIN_MISMATCH' });
});
