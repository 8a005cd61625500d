import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeKey } from '../cose/key.ts';
import { hex } from '../bytes.ts';
import { readNodeConfig, readNodeKeys } from '../node/config.ts';
import { startNode } from '../node/node.ts';
import { parseRoot } from '../registry/root.ts';
import { fixtureKey } from '../testing/fixture.ts';
import { freePorts } from '../testing/free-ports.ts';
import { SILENT } from '../testing/ledger-fixture.ts';
import { testAuthor } from '../testing/network-author.ts';
import { startTestNetwork } from '../testing/network.ts';
import { node } from './node.ts';
import { policy } from './policy.ts';
import { readProposal } from './policy-proposal.ts';

type Json = Readonly<Record<string, unknown>>;

async function run(...args: readonly string[]): Promise<{ code: number; out: Json; error: Json }> {
  const out: string[] = [];
  const errors: string[] = [];
  const io = {
    stdout: (line: string) => void out.push(line),
    stderr: (line: string) => void errors.push(line),
  };
  const code = await policy([...args, '--json'], io);
  const parsed = (lines: readonly string[]): Json => JSON.parse(lines.at(-1) ?? '{}') as Json;
  return { code, out: parsed(out), error: parsed(errors) };
}

test('three operators appoint another orderer once theirs is gone, by commands', async () => {
  await using network = await startTestNetwork({ receiptWaitMs: 1_000 });
  const at = (name: string): string => join(network.folder, name);
  const key = (name: string): string => join(network.folder, 'network', name, 'governance.key');
  await network.stop('d/n1');
  const proposed = await run(
    'propose',
    '--root',
    network.rootFile,
    '--out',
    at('change'),
    '--orderer',
    'c/n1',
    '--max-age',
    '90000',
  );
  assert.deepEqual(proposed.out['changes'], [
    '- version: 1',
    '+ version: 2',
    '- maxAge: 86400',
    '+ maxAge: 90000',
    '- orderer: d/n1',
    '+ orderer: c/n1',
  ]);
  const submit = ['submit', at('change'), '--operator', 'a', '--key', key('a')];
  assert.equal((await run(...submit)).error['code'], 'POLICY_APPROVALS');
  for (const name of ['a', 'b', 'c', 'c'])
    await run('approve', at('change'), '--operator', name, '--key', key(name));
  const shown = await run('show', at('change'));
  assert.deepEqual(shown.out['approvals'], ['a', 'b', 'c']);
  const { code, out, error } = await run(...submit, '--timeout', '30');
  assert.equal(code, 0, JSON.stringify(error));
  assert.equal(out['version'], 2);
  const { body } = await network
    .client()
    .request({ url: network.url('c/n1', '/v1/root'), maxBytes: 1 << 20 });
  await writeFile(at('root'), body);
  assert.deepEqual(parseRoot(body).policy.orderer, { engine: 'local', operator: 'c', node: 'n1' });
  assert.equal((await run('show', at('root'))).out['hash'], out['hash']);
  assert.equal((await run('show', key('a'))).error['code'], 'POLICY_MALFORMED');
});

test('operators come and go by files; what T09 forbids is refused before anybody is asked', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'firmament-policy-'));
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => rm(folder, { recursive: true }));
  await using network = await startTestNetwork({ start: [] });
  const at = (name: string): string => join(folder, name);
  const fresh = (name: string): string => hex(fixtureKey(name).publicKey.bytes);
  const operator = {
    name: 'east',
    kind: 'non-author',
    governance: hex(encodeKey(fixtureKey('east governance', 'P-256').publicKey)),
    nodes: [
      {
        name: 'one',
        roles: ['retrieval', 'general'],
        url: 'https://east.example',
        spki: fresh('spki'),
        cosigner: fresh('cosigner'),
        receipt: fresh('receipt'),
        statement: fresh('statement'),
      },
    ],
  };
  await writeFile(at('east'), JSON.stringify(operator));
  await writeFile(at('changes'), JSON.stringify({ quorum: 4, skew: 60 }));
  const propose = (out: string, ...args: readonly string[]) =>
    run('propose', '--root', network.rootFile, '--out', at(out), ...args);
  const east = ['--add-operator', at('east')];
  const { out, error } = await propose('one', ...east, '--changes', at('changes'));
  assert.deepEqual(error, {});
  assert.equal(
    (out['changes'] as readonly string[]).filter((line) => line.includes('east')).length,
    6,
  );
  const swapped = await propose('two', ...east, '--remove-operator', 'a');
  assert.equal(swapped.code, 0);
  assert.equal(
    (await propose('three', '--remove-operator', 'd')).error['code'],
    'POLICY_MALFORMED',
  );
  assert.equal(
    (await propose('four', '--remove-operator', 'nobody')).error['code'],
    'POLICY_MALFORMED',
  );
  assert.equal((await propose('five', '--quorum', '2')).error['code'], 'POLICY_QUORUM');
  await writeFile(at('changes'), JSON.stringify({ orders: 1 }));
  assert.equal((await propose('six', '--changes', at('changes'))).error['code'], 'NODE_CONFIG');
  await writeFile(at('east'), JSON.stringify({ ...operator, governance: '00' }));
  assert.notEqual((await propose('seven', ...east)).code, 0);
  assert.equal((await readFile(at('one'), 'utf8')).includes('governance.key'), false);
});

test('an operator joins: its keys by a command, its node reads on to the policy that lists it, and cosigns', async () => {
  await using network = await startTestNetwork({ receiptWaitMs: 1_000 });
  const at = (name: string): string => join(network.folder, name);
  const key = (name: string): string => join(network.folder, 'network', name, 'governance.key');
  const [port] = await freePorts(1);
  const node = {
    name: 'n1',
    roles: ['general', 'retrieval', 'registration'],
    url: `https://127.0.0.1:${port}`,
    host: '127.0.0.1',
    port,
  };
  await writeFile(at('plan'), JSON.stringify({ name: 'e', kind: 'non-author', nodes: [node] }));
  const genesis = join(network.folder, 'network', 'genesis.cbor');
  const made = await run('operator', at('plan'), at('east'), '--genesis', genesis);
  assert.equal(made.code, 0, JSON.stringify(made.error));
  const config = readNodeConfig((made.out['nodes'] as Record<string, string>)['e/n1'] as string);
  const options = { clock: network.clock, logger: SILENT };
  const start = () => startNode(config, readNodeKeys(config.keys), options);
  // Nobody has agreed yet.
  await assert.rejects(start(), { code: 'NODE_CONFIG' });
  const author = await testAuthor(network);
  const proposal = ['--root', network.rootFile, '--out', at('change'), '--quorum', '4'];
  await run('propose', ...proposal, '--add-operator', String(made.out['operator']));
  for (const name of ['a', 'b', 'c'])
    await run('approve', at('change'), '--operator', name, '--key', key(name));
  const submitted = await run('submit', at('change'), '--operator', 'a', '--key', key('a'));
  assert.equal(submitted.code, 0, JSON.stringify(submitted.error));
  await using joined = await start();
  await author.declare('after');
  // Without a's node the new one is needed for k = 4.
  await network.stop('a/n1');
  await author.declare('without a');
  assert.deepEqual(joined.health().quorum?.operators, ['b', 'c', 'd', 'e']);
});

test('an approval that would not count is refused, and one in a file from elsewhere is shown as such', async () => {
  await using network = await startTestNetwork({ start: [] });
  const at = (name: string): string => join(network.folder, name);
  const key = (name: string): string => join(network.folder, 'network', name, 'governance.key');
  const approve = (operator: string, holder: string) =>
    run('approve', at('change'), '--operator', operator, '--key', key(holder));
  await run('propose', '--root', network.rootFile, '--out', at('change'), '--skew', '60');
  await approve('a', 'a');
  const before = await readFile(at('change'), 'utf8');
  assert.equal((await approve('b', 'c')).error['code'], 'POLICY_APPROVALS');
  assert.equal((await approve('nobody', 'b')).error['code'], 'POLICY_APPROVALS');
  assert.equal(await readFile(at('change'), 'utf8'), before);

  await writeFile(at('change'), before.replace('"operator": "a"', '"operator": "b"'));
  assert.deepEqual((await run('show', at('change'))).out['approvals'], [
    'b (with another key: does not count)',
  ]);
  await approve('b', 'b');
  assert.deepEqual((await run('show', at('change'))).out['approvals'], ['b']);
});

test('the consortium engine is proposed by what each of its members hands over', async () => {
  await using network = await startTestNetwork({ start: [] });
  const at = (name: string): string => join(network.folder, name);
  const propose = (out: string, ...args: readonly string[]) =>
    run('propose', '--root', network.rootFile, '--out', at(out), ...args);
  const bad = ['engine-member', network.configFile('a/n1'), '--address', 'nowhere'];
  assert.notEqual(await node(bad, { stdout: () => undefined, stderr: () => undefined }), 0);
  assert.equal(network.keys('a/n1').engine, undefined);
  const files: string[] = [];
  for (const [i, name] of network.names.entries()) {
    const out: string[] = [];
    const address = ['--address', `127.0.0.1:${26_000 + i}`];
    const io = { stdout: (line: string) => void out.push(line), stderr: () => undefined };
    await node(['engine-member', network.configFile(name), ...address], io);
    files.push(at(`member-${i}.json`));
    await writeFile(files[i] as string, out.join('\n'));
  }
  const adding = files.flatMap((file) => ['--add-engine-member', file]);
  const { out, error } = await propose('one', ...adding);
  assert.deepEqual(error, {});
  const { orderer } = readProposal(at('one')).to.policy;
  assert.ok(orderer.engine === 'cometbft');
  assert.equal(orderer.chain, 2);
  const keys = network.names.map((name) => network.keys(name).engine?.consensus.publicKey);
  assert.deepEqual(
    orderer.members.map(({ key }) => key),
    keys,
  );
  const changes = out['changes'] as readonly string[];
  assert.ok(changes.includes('- orderer: d/n1') && changes.includes('+ engine: cometbft, chain 2'));
  // f of 3f + 1: three validators could not lose one.
  assert.equal((await propose('two', ...adding.slice(2))).error['code'], 'POLICY_QUORUM');
  const members = await Promise.all(
    files.map(async (file): Promise<unknown> => JSON.parse(await readFile(file, 'utf8'))),
  );
  await writeFile(at('changes'), JSON.stringify({ engine: { members } }));
  const same = await propose('three', '--changes', at('changes'));
  assert.equal(same.out['hash'], out['hash']);
  assert.equal(
    (await propose('four', '--remove-engine-member', 'a/n1')).error['code'],
    'POLICY_MALFORMED',
  );
});
