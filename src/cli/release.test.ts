import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sha256 } from '#crypto';
import { hex, fromHex } from '../bytes.ts';
import { decodeLatest } from '../api/retrieval.ts';
import { createClient, type Client } from '../net/client.ts';
import { readNodeConfig, readNodeKeys } from '../node/config.ts';
import { startNode, type Node } from '../node/node.ts';
import { createNetwork } from '../node/setup.ts';
import { nodesOf } from '../registry/policy.ts';
import { parseRoot, type Root } from '../registry/root.ts';
import { parseStatement } from '../registry/statement.ts';
import { parseEnvelope } from '../suit/envelope.ts';
import { statementOf } from '../suit/transparent.ts';
import { SILENT } from '../testing/ledger-fixture.ts';
import { testPlan } from '../testing/network-plan.ts';
import { author } from './author.ts';
import { proof } from './proof.ts';
import { release } from './release.ts';

type Command = typeof author;
type Json = Readonly<Record<string, unknown>>;

let folder: string;
let node: Node;
let client: Client;
let root: Root;
let line: string;
const clock = (): number => Math.floor(Date.now() / 1000);
const at = (name: string): string => join(folder, name);

/** Runs a verb with the author's folder and passphrase. */
async function run(command: Command, ...args: readonly string[]) {
  const out: string[] = [];
  const errors: string[] = [];
  const io = {
    stdout: (l: string) => void out.push(l),
    stderr: (l: string) => void errors.push(l),
  };
  const code = await command(args, io);
  const parsed = (text: string | undefined): Json =>
    text?.startsWith('{') === true ? (JSON.parse(text) as Json) : {};
  return { code, out: parsed(out.at(-1)), error: parsed(errors.at(-1)), errors };
}

function mine(command: Command, ...args: readonly string[]) {
  const own = ['--dir', at('author'), '--passphrase-file', at('passphrase'), '--json'];
  return run(command, ...args, ...own);
}

async function create(name: string, image: Uint8Array, ...args: readonly string[]): Promise<Json> {
  await writeFile(at(`${name}.bin`), image);
  const model = ['--vendor', 'acme.example', '--class', 'lamp'];
  const files = [at(`${name}.bin`), '--out', at(`${name}.suit`)];
  const { code, out, errors } = await mine(release, 'create', ...files, ...model, ...args);
  assert.equal(code, 0, errors.join('\n'));
  return out;
}

function publish(name: string, ...args: readonly string[]) {
  const files = [at(`${name}.suit`), '--image', at(`${name}.bin`), '--timeout', '30'];
  return mine(release, 'publish', ...files, ...args);
}

async function latest(): Promise<string> {
  const [first] = nodesOf(root.policy);
  const url = `${first?.node.url}/v1/lines/${line}/latest`;
  const { body } = await client.request({ url, maxBytes: 20_000 });
  await writeFile(at('latest'), body);
  return at('latest');
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firmament-release-'));
  await createNetwork(await testPlan({ operators: 1 }), at('net'), clock() - 10);
  const config = readNodeConfig(join(at('net'), 'a', 'n1', 'config.json'));
  node = await startNode(config, readNodeKeys(config.keys), { clock, logger: SILENT });
  root = parseRoot(new Uint8Array(await readFile(join(at('net'), 'root.cbor'))));
  client = createClient({ pins: nodesOf(root.policy)[0]?.node.spki as Uint8Array });
  await writeFile(at('passphrase'), 'secret\n');
  const made = await mine(author, 'init', '--name', 'Acme', '--curve', 'Ed25519');
  assert.equal(made.code, 0);
});
after(async () => {
  await client[Symbol.asyncDispose]();
  await node[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

test('an author registers once, for the operator that it runs', async () => {
  const network = ['--root', join(at('net'), 'root.cbor')];
  const operator = ['--operator', 'a', '--operator-key', join(at('net'), 'a', 'governance.key')];
  const done = await mine(author, 'register', ...network, ...operator);
  assert.equal(done.code, 0, done.errors.join('\n'));
  assert.equal(done.out['kind'], 'author.register');
  assert.equal((await mine(author, 'register')).error['code'], 'AUTHOR_EXISTS');
  assert.equal((await mine(author, 'show')).out['network'], hex(root.networkId));
});

test('a test build has the same manifest and is not published', async () => {
  const image = firmware('one');
  const bench = await create('bench', image, '--version', '1.0.0', '--sequence', '1');
  const built = await create(
    'one',
    image,
    '--version',
    '1.0.0',
    '--sequence',
    '1',
    '--for-publishing',
  );
  assert.equal(bench['network'], null);
  assert.equal(built['digest'], bench['digest']);
  assert.equal((await publish('bench')).error['code'], 'AUTHOR_TEST_BUILD');
});

test('a release is published, and again without harm', async () => {
  const done = await publish('one');
  assert.equal(done.code, 0, done.errors.join('\n'));
  assert.deepEqual([done.out['status'], done.out['newest']], ['available', true]);
  assert.deepEqual(done.out['holders'], ['a/n1']);
  const kinds = (done.out['entries'] as readonly Json[]).map((entry) => entry['kind']);
  assert.deepEqual(kinds, ['line.declare', 'release', 'image.anchor']);
  line = String(done.out['line']);
  const again = await publish('one');
  assert.equal(again.code, 0, again.errors.join('\n'));
  assert.equal(again.out['digest'], done.out['digest']);
});

test('an image of several chunks is uploaded, and the same image serves a second release', async () => {
  const image = new Uint8Array(randomBytes(700_000));
  await create('two', image, '--version', '2.0.0', '--sequence', '2', '--for-publishing');
  assert.equal((await publish('two')).out['newest'], true);
  await create('three', image, '--version', '3.0.0', '--sequence', '3', '--for-publishing');
  const done = await publish('three');
  assert.deepEqual([done.code, done.out['newest']], [0, true], done.errors.join('\n'));
});

test("images that are not the release's are refused before anything is posted", async () => {
  const more = await publish('one', '--image', at('two.bin'));
  assert.equal(more.error['code'], 'AUTHOR_IMAGE_MISMATCH');
  const other = await mine(release, 'publish', at('one.suit'), '--image', at('two.bin'));
  assert.equal(other.error['code'], 'AUTHOR_IMAGE_MISMATCH');
  const none = mine(release, 'publish', at('one.suit'), '--image', at('nowhere.bin'));
  await assert.rejects(none, { code: 'ENOENT' });
});

test("another author's release is not published", async () => {
  const own = ['--dir', at('other'), '--passphrase-file', at('passphrase'), '--json'];
  await run(author, 'init', '--name', 'Other', ...own);
  const network = ['--network', join(at('net'), 'root.cbor')];
  const model = ['--vendor', 'acme.example', '--class', 'lamp', '--version', '9'];
  const out = ['--out', at('foreign.suit'), '--for-publishing'];
  const made = await run(release, 'create', at('one.bin'), ...out, ...network, ...model, ...own);
  assert.equal(made.code, 0);
  const done = await mine(release, 'publish', at('foreign.suit'), '--image', at('one.bin'));
  assert.equal(done.error['code'], 'AUTHOR_RELEASE_FOREIGN');
});

test('proof verify says what is proven, and refuses what is not', async () => {
  const file = await latest();
  const pinned = ['--root', join(at('net'), 'root.cbor')];
  const verify = (...args: readonly string[]) => run(proof, 'verify', file, ...pinned, ...args);
  const done = await verify();
  assert.equal(done.code, 0);
  const newest = done.out['newest'] as { readonly sequence: number; readonly digest: string };
  assert.equal(newest.sequence, 3);
  assert.deepEqual([done.out['line'], done.out['lowest']], [line, 0]);
  assert.equal(done.out['freshness'], 'fresh(own clock)');
  assert.equal((await verify('--release', newest.digest)).out['release'], 'newest');
  assert.equal((await verify('--release', 'ab'.repeat(32))).error['code'], 'TRUST_NOT_NEWEST');
  assert.equal((await verify('--now', '2099-01-01T00:00:00Z')).out['freshness'], 'stale(age)');
  assert.equal((await verify('--line', line.replace('stable', 'beta'))).code, 1);

  const { size, root: head } = done.out['head'] as { readonly size: number; readonly root: string };
  const withState = async (state: object) => {
    await writeFile(at('state.json'), JSON.stringify(state));
    return verify('--state', at('state.json'));
  };
  assert.equal((await withState({ head: { size, root: head }, floor: 5 })).code, 0);
  const ahead = await withState({ head: { size: size + 1, root: head }, floor: 5 });
  assert.equal(ahead.error['code'], 'TRUST_HEAD_ROLLBACK');
  const fork = await withState({ head: { size, root: 'ab'.repeat(32) }, floor: 5 });
  assert.equal(fork.error['code'], 'TRUST_HEAD_FORK');
  const later = await withState({ head: null, floor: clock() + 10_000_000 });
  assert.equal(later.out['freshness'], 'stale(age)');

  assert.equal((await verify('--state', at('nowhere'))).code, 2);
  // A file that says nothing would refuse nothing.
  assert.equal((await withState([])).code, 2);
  assert.equal((await withState({ Head: { size, root: head } })).code, 2);
  assert.equal((await verify('--line', 'x')).code, 2);
  assert.equal((await verify('--now', 'tomorrow')).code, 2);
  assert.equal((await run(proof, 'verify', file)).code, 2);
  assert.equal((await run(proof, 'verify', at('nowhere'), ...pinned)).code, 2);

  const bytes = new Uint8Array(await readFile(file));
  await writeFile(at('bare'), decodeLatest(bytes).proof);
  assert.equal((await run(proof, 'verify', at('bare'), ...pinned)).code, 2);
  assert.equal((await run(proof, 'verify', at('bare'), ...pinned, '--line', line)).code, 0);
  for (const junk of [
    new Uint8Array(),
    Uint8Array.of(0xa0),
    Uint8Array.of(0x80),
    new Uint8Array(40_000),
  ]) {
    await writeFile(at('junk'), junk);
    assert.equal((await run(proof, 'verify', at('junk'), ...pinned, '--line', line)).code, 1);
    assert.equal((await run(proof, 'verify', at('junk'), ...pinned)).code, 1);
  }
});

test('a withdrawal makes the next one newest again', async () => {
  const before = await run(proof, 'verify', await latest(), '--root', join(at('net'), 'root.cbor'));
  const { digest } = before.out['newest'] as { readonly digest: string };
  const done = await mine(release, 'withdraw', '--digest', digest, '--reason', 'a hole');
  assert.equal(done.code, 0, done.errors.join('\n'));
  const again = await mine(release, 'withdraw', '--digest', digest, '--reason', 'a hole');
  assert.equal(again.error['code'], 'RELEASE_WITHDRAWN');
  const status = await mine(release, 'status', digest);
  assert.equal(status.out['status'], 'withdrawn');
  assert.equal((await mine(release, 'status', 'ab'.repeat(32))).error['code'], 'RELEASE_UNKNOWN');
  const after = await run(proof, 'verify', await latest(), '--root', join(at('net'), 'root.cbor'));
  assert.equal((after.out['newest'] as Json)['sequence'], 2);
});

test('options of a release come into its claims', async () => {
  const image = firmware('four');
  await writeFile(at('notes.txt'), 'notes');
  const options = [
    ['--version', '4.0.0-rc.1'],
    ['--sequence', '4'],
    ['--kind', 'security'],
    ['--applies', '1-3'],
    ['--support-until', '2036-01-01'],
    ['--track', 'beta'],
    ['--component', 'app'],
    ['--document', `type=notes,file=${at('notes.txt')},where=https://acme.example/notes`],
  ];
  const made = await create('four', image, ...options.flat());
  assert.deepEqual(made['image'], {
    sha256: hex(sha256(image)),
    size: image.length,
    cid: (made['image'] as Json)['cid'],
  });
  const envelope = new Uint8Array(await readFile(at('four.suit')));
  const statement = parseStatement(statementOf(parseEnvelope(envelope)));
  assert.deepEqual(statement.release, {
    version: '4.0.0-rc.1',
    urgency: 'security',
    applies: [1n, 3n],
    supportUntil: 2_082_758_400,
    documents: [
      {
        type: 'notes',
        digest: sha256(new TextEncoder().encode('notes')),
        where: 'https://acme.example/notes',
      },
    ],
  });
  assert.equal(statement.network, undefined);
  assert.ok(statement.subject.endsWith('/beta'));
  assert.equal(fromHex(String(made['digest'])).length, 32);
});

test('a document whose digest was given is the one, or nothing is signed', async () => {
  await writeFile(at('sbom.json'), '{}');
  const model = ['--vendor', 'acme.example', '--class', 'lamp', '--version', '5.0.0'];
  const described = (sha256Hex: string) => {
    const document = `type=SBOM,file=${at('sbom.json')},where=https://a.example/,sha256=${sha256Hex}`;
    const out = ['--out', at(`${sha256Hex.slice(0, 8)}.suit`), '--document', document];
    return mine(release, 'create', at('one.bin'), ...out, ...model);
  };
  const right = hex(sha256(new TextEncoder().encode('{}')));
  assert.equal((await described(right)).code, 0);
  const wrong = await described('ab'.repeat(32));
  assert.equal(wrong.error['code'], 'AUTHOR_DOCUMENT_MISMATCH');
});

test('a file is never overwritten, and wrong usage says so', async () => {
  const model = ['--vendor', 'acme.example', '--class', 'lamp', '--version', '1'];
  const again = await mine(release, 'create', at('one.bin'), '--out', at('one.suit'), ...model);
  assert.equal(again.error['code'], 'AUTHOR_FILE_EXISTS');
  const wrong = { code: 'ERR_PARSE_ARGS_USAGE' };
  await assert.rejects(mine(release, 'create', at('one.bin'), ...model), wrong);
  await assert.rejects(mine(release, 'withdraw', '--digest', 'ab'.repeat(32)), wrong);
  const sequence = ['--out', at('x.suit'), '--sequence', '-1'];
  await assert.rejects(mine(release, 'create', at('one.bin'), ...model, ...sequence));
  assert.equal((await run(release, 'fly')).code, 2);
});

test('the wrong passphrase opens nothing', async () => {
  await writeFile(at('wrong'), 'guess');
  const own = ['--dir', at('author'), '--passphrase-file', at('wrong'), '--json'];
  const done = await run(release, 'publish', at('one.suit'), '--image', at('one.bin'), ...own);
  assert.equal(done.error['code'], 'AUTHOR_PASSPHRASE_WRONG');
});

function firmware(text: string): Uint8Array {
  return new TextEncoder().encode(`firmware ${text}`);
}
