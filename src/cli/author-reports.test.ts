import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createAuthor } from '../author/author.ts';
import { hex } from '../bytes.ts';
import { readNodeConfig, readNodeKeys } from '../node/config.ts';
import { startNode, type Node } from '../node/node.ts';
import { createNetwork } from '../node/setup.ts';
import { SILENT } from '../testing/ledger-fixture.ts';
import { testPlan } from '../testing/network-plan.ts';
import { author } from './author.ts';

let folder: string;
let node: Node;
const clock = (): number => Math.floor(Date.now() / 1000);
const at = (...names: readonly string[]): string => join(folder, ...names);

async function run(...args: readonly string[]) {
  const out: string[] = [];
  const errors: string[] = [];
  const io = {
    stdout: (text: string) => void out.push(text),
    stderr: (text: string) => void errors.push(text),
  };
  const own = ['--dir', at('author'), '--passphrase-file', at('passphrase'), '--json'];
  const code = await author([...args, ...own], io);
  const said = (code === 0 ? out : errors).at(-1) ?? '{}';
  return { code, said: JSON.parse(said) as Readonly<Record<string, unknown>> };
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firmament-reports-'));
  await createNetwork(await testPlan({ operators: 1 }), at('net'), clock() - 10);
  const config = readNodeConfig(at('net', 'a', 'n1', 'config.json'));
  node = await startNode(config, readNodeKeys(config.keys), { clock, logger: SILENT });
  await writeFile(at('passphrase'), 'secret\n');
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  const cost = { N: 2, r: 1, p: 1 };
  const about = { directory: at('author'), name: 'acme', passphrase: 'secret' };
  await createAuthor({ ...about, random, clock, cost });
  const registered = await run('register', '--root', at('net', 'root.cbor'));
  assert.equal(registered.code, 0);
});
after(async () => {
  await node[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

test('the key for reports is made once, and its public part is what owners configure', async () => {
  const made = await run('report-key');
  assert.equal(made.code, 0);
  const file = new Uint8Array(await readFile(at('author', 'report.pub')));
  assert.equal(made.said['reportKey'], hex(file));
  const again = await run('report-key');
  assert.deepEqual([again.code, again.said['code']], [1, 'AUTHOR_FILE_EXISTS']);
});

test('an author of whom nobody reported yet is told so', async () => {
  const found = await run('reports');
  assert.deepEqual(found.said, { releases: [], batches: [], unheard: {} });
  const nowhere = await run('reports', '--node', 'b/n9');
  assert.deepEqual([nowhere.code, nowhere.said['code']], [1, 'NET_UNREACHABLE']);
});
