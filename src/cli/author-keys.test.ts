import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hex } from '../bytes.ts';
import { encodeKey, thumbprint } from '../cose/key.ts';
import { createAuthor, openAuthor } from '../author/author.ts';
import type { Curve } from '../crypto/key.ts';
import { readNodeConfig, readNodeKeys } from '../node/config.ts';
import { startNode, type Node } from '../node/node.ts';
import { createNetwork } from '../node/setup.ts';
import { SILENT } from '../testing/ledger-fixture.ts';
import { testPlan } from '../testing/network-plan.ts';
import { author } from './author.ts';
import { release } from './release.ts';

type Json = Readonly<Record<string, unknown>>;

let folder: string;
let node: Node;
let line: string;
const clock = (): number => Math.floor(Date.now() / 1000);
const at = (...names: readonly string[]): string => join(folder, ...names);

async function run(command: typeof author, dir: string, ...args: readonly string[]) {
  const out: string[] = [];
  const errors: string[] = [];
  const io = {
    stdout: (text: string) => void out.push(text),
    stderr: (text: string) => void errors.push(text),
  };
  const own = ['--dir', at(dir), '--json'];
  const code = await command([...args, ...own], io);
  const parsed = (text: string | undefined): Json =>
    text?.startsWith('{') === true ? (JSON.parse(text) as Json) : {};
  return { code, out: parsed(out.at(-1)), error: parsed(errors.at(-1)), errors };
}

/** Runs a verb that has to go well. */
async function done(
  command: typeof author,
  dir: string,
  ...args: readonly string[]
): Promise<Json> {
  const { code, out, errors } = await run(command, dir, ...args);
  assert.equal(code, 0, errors.join('\n'));
  return out;
}

const secret = (): string[] => ['--passphrase-file', at('passphrase')];
const recovery = (...files: readonly string[]): string[] =>
  files.flatMap((file) => [
    '--recovery-key',
    at('maker', file),
    '--recovery-passphrase-file',
    at('offline'),
  ]);

async function created(dir: string, version: string, ...args: readonly string[]): Promise<string> {
  await writeFile(at(`${version}.bin`), `firmware ${version}`);
  const out = at(`${version}.suit`);
  const about = ['--version', version, '--out', out, '--for-publishing'];
  await done(release, dir, 'create', at(`${version}.bin`), ...about, ...args);
  return out;
}

function publish(dir: string, version: string, ...args: readonly string[]) {
  const what = [at(`${version}.suit`), '--image', at(`${version}.bin`), '--timeout', '30'];
  return run(release, dir, 'publish', ...what, ...args);
}

/** As `author init` does it, with passphrases that are cheap to open. */
async function made(dir: string, recoveryKeys: number, curve: Curve): Promise<void> {
  const cost = { N: 2, r: 1, p: 1 };
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  const keys = { passphrase: 'secret', recoveryPassphrase: 'in the safe', recoveryKeys, curve };
  await createAuthor({ ...keys, directory: at(dir), name: dir, random, clock, cost });
}

const model = ['--vendor', 'acme.example', '--class', 'lamp'];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firmament-keys-'));
  await createNetwork(await testPlan({ operators: 1 }), at('net'), clock() - 10);
  const config = readNodeConfig(at('net', 'a', 'n1', 'config.json'));
  node = await startNode(config, readNodeKeys(config.keys), { clock, logger: SILENT });
  await writeFile(at('passphrase'), 'secret\n');
  await writeFile(at('offline'), 'in the safe\n');
  await made('maker', 3, 'P-256');
  const network = ['--root', at('net', 'root.cbor')];
  await done(author, 'maker', 'register', ...network, ...secret());
});
after(async () => {
  await node[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

test('rotate: two recovery keys put a new release key in the place of the old one', async () => {
  await created('maker', '1.0.0', ...model, ...secret());
  const first = await publish('maker', '1.0.0', ...secret());
  line = String(first.out['line']);
  const shown = await done(author, 'maker', 'keys', 'show');
  const few = await run(
    author,
    'maker',
    'keys',
    'rotate',
    ...secret(),
    ...recovery('recovery-1.key'),
  );
  assert.equal(few.error['code'], 'RECOVERY_THRESHOLD');
  const two = recovery('recovery-1.key', 'recovery-3.key');
  const rotated = await done(author, 'maker', 'keys', 'rotate', ...secret(), ...two);
  assert.notEqual(rotated['key'], shown['key']);
  const now = await done(author, 'maker', 'keys', 'show');
  assert.deepEqual(
    [now['key'], now['retired'], now['id']],
    [rotated['key'], [shown['key']], shown['id']],
  );
  const files = await readdir(at('maker'));
  assert.ok(files.includes('release.key.old-1') && !files.includes('release.key.new'));
  assert.ok(!files.includes('key-request.json'));
  await created('maker', '2.0.0', ...model, ...secret());
  assert.equal((await publish('maker', '2.0.0', ...secret())).out['newest'], true);
});

test('revoke: requests are approved offline, by one holder after the other', async () => {
  const shown = await done(author, 'maker', 'keys', 'show');
  const what = ['--key', String(shown['key']), '--from', '1', '--request', at('request.json')];
  const asked = await done(author, 'maker', 'keys', 'revoke', ...what, ...secret());
  assert.deepEqual(asked['changes'], ['key.rotate', 'key.revoke']);
  const early = await run(author, 'maker', 'keys', 'submit', at('request.json'));
  assert.equal(early.error['code'], 'RECOVERY_THRESHOLD');
  const approve = (file: string) =>
    done(author, 'nowhere', 'keys', 'approve', at('request.json'), ...recovery(file));
  assert.equal((await approve('recovery-2.key'))['approved'], 1);
  assert.equal((await approve('recovery-2.key'))['approved'], 1);
  assert.equal((await approve('recovery-3.key'))['approved'], 2);
  const submitted = await done(author, 'maker', 'keys', 'submit', at('request.json'));
  const entries = submitted['entries'] as readonly Json[];
  assert.deepEqual(
    entries.map(({ kind }) => kind),
    ['key.rotate', 'key.revoke'],
  );
  const status = await done(release, 'maker', 'status', await digestOf('2.0.0'), '--timeout', '5');
  assert.equal(status['status'], 'withdrawn');
  await created('maker', '3.0.0', ...model, ...secret());
  assert.equal((await publish('maker', '3.0.0', ...secret())).out['newest'], true);
});

async function digestOf(version: string): Promise<string> {
  const { parseEnvelope } = await import('../suit/envelope.ts');
  return hex(parseEnvelope(new Uint8Array(await readFile(at(`${version}.suit`)))).digestBytes);
}

test('delegate and transfer: another author publishes on the line', async () => {
  await made('heir', 1, 'Ed25519');
  const network = ['--root', at('net', 'root.cbor')];
  await done(author, 'heir', 'register', ...network, ...secret());
  const heir = await openAuthor(at('heir'), clock);
  await writeFile(at('heir.cbor'), encodeKey(heir.publicKey));
  const two = recovery('recovery-1.key', 'recovery-2.key');
  const to = ['--line', line, '--to', at('heir.cbor')];
  await done(author, 'maker', 'keys', 'delegate', ...to, ...two);
  await created('heir', '4.0.0', '--line', line, ...secret());
  const delegated = await publish('heir', '4.0.0', ...secret());
  assert.equal(delegated.out['newest'], true, delegated.errors.join('\n'));
  await done(author, 'maker', 'keys', 'delegate', ...to, '--end', ...two);
  await created('heir', '5.0.0', '--line', line, ...secret());
  assert.equal((await publish('heir', '5.0.0', ...secret())).error['code'], 'LINE_FOREIGN');
  const given = ['--line', line, '--to', hex(heir.id), '--acceptance', at('word')];
  await done(author, 'heir', 'keys', 'accept', '--line', line, '--out', at('word'), ...secret());
  await done(author, 'maker', 'keys', 'transfer', ...given, ...two);
  assert.equal((await publish('heir', '5.0.0', ...secret())).out['newest'], true);
});

test('a signer outside: a program is given the bytes and its answer is checked', async () => {
  // A small program stands for that of a card or an HSM.
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  await writeFile(at('hsm.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
  await writeFile(at('hsm.pub'), publicKey.export({ format: 'pem', type: 'spki' }));
  await writeFile(
    at('hsm.mjs'),
    `import { sign } from 'node:crypto'; import { readFileSync } from 'node:fs';
     process.stdout.write(sign(null, readFileSync(0), readFileSync('${at('hsm.pem')}')));`,
  );
  const command = `'${process.execPath}' '${at('hsm.mjs')}'`;
  const signer = ['--signer', command];
  const key = ['--signer-key', at('hsm.pub')];
  await done(author, 'hsm', 'init', '--name', 'Hsm', ...key, ...secret());
  assert.ok(!(await readdir(at('hsm'))).includes('release.key'));
  await done(author, 'hsm', 'register', '--root', at('net', 'root.cbor'), ...signer, ...key);
  await created('hsm', '6.0.0', ...model, ...signer);
  assert.equal((await publish('hsm', '6.0.0', ...signer)).out['newest'], true);
  const wrongKey = ['--signer-key', at('heir.cbor')];
  const foreign = await run(
    author,
    'hsm',
    'line',
    ...model,
    '--track',
    'x',
    ...signer,
    ...wrongKey,
  );
  assert.equal(foreign.error['code'], 'AUTHOR_FILE_INVALID');
  const liars = [
    'head -c 64 /dev/zero',
    'head -c 63 /dev/zero',
    'head -c 99999 /dev/zero',
    'exit 3',
  ];
  for (const liar of liars) {
    const lie = await run(author, 'hsm', 'line', ...model, '--track', 'x', '--signer', liar);
    assert.equal(lie.error['code'], 'AUTHOR_SIGNER_FAILED', liar);
  }
  const opened = await openAuthor(at('hsm'), clock);
  assert.deepEqual(opened.id, thumbprint(opened.publicKey));
});
