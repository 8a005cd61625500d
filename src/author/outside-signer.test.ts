import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isLowS, sign, verify } from '#crypto';
import { concat, hex, utf8 } from '../bytes.ts';
import { encodeKey, thumbprint } from '../cose/key.ts';
import { fixtureAuthor, fixtureKey, fixtureLine, fixtureNetwork } from '../testing/fixture.ts';
import { fixtureAnchor, fixtureLedger, fixtureRelease } from '../testing/release-fixture.ts';
import { requirePart } from '../testing/require.ts';
import { outsideKey, readPublicKey } from './outside-signer.ts';
import { declareStatement, registerStatement } from './statements.ts';

const MODULE = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib64/softhsm/libsofthsm2.so'].find(
  (path) => existsSync(path),
);
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const key = fixtureKey('outside', 'P-256');
const message = utf8('to be signed');
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firmament-signer-'));
});
after(() => rm(folder, { recursive: true }));

/** A program that answers these bytes, whatever it is asked. */
async function answering(bytes: Uint8Array): Promise<string> {
  const path = join(folder, `answer-${hex(bytes).slice(0, 16)}-${bytes.length}`);
  await writeFile(path, bytes);
  return `cat > /dev/null; cat '${path}'`;
}

test('a high s is normalised (T05)', async () => {
  const low = sign(key, message);
  const s = BigInt(`0x${hex(low.subarray(32))}`);
  const high = concat(
    low.subarray(0, 32),
    Uint8Array.fromHex((ORDER - s).toString(16).padStart(64, '0')),
  );
  assert.ok(!isLowS(high) && verify(key.publicKey, message, high));
  const outside = outsideKey(await answering(high), key.publicKey);
  assert.deepEqual(outside.sign(message), low);
});

test('what is not a signature by the named key goes nowhere', async () => {
  const good = sign(key, message);
  const other = fixtureKey('another', 'P-256').publicKey;
  const failed = { code: 'AUTHOR_SIGNER_FAILED' };
  const answers = [good.subarray(1), concat(good, good), new Uint8Array(64), new Uint8Array(9999)];
  for (const answer of answers) {
    const liar = outsideKey(await answering(answer), key.publicKey);
    assert.throws(() => liar.sign(message), failed);
  }
  const honest = await answering(good);
  assert.throws(() => outsideKey(honest, other).sign(message), failed);
  assert.throws(() => outsideKey(honest, key.publicKey).sign(utf8('else')), failed);
  assert.throws(() => outsideKey('exit 1', key.publicKey).sign(message), failed);
  assert.throws(() => outsideKey('/no/such/program', key.publicKey).sign(message), failed);
  const slow = outsideKey('exec sleep 30', key.publicKey, { timeoutMs: 100 });
  assert.throws(() => slow.sign(message), failed);
});

test('a public key is read from COSE, DER and PEM, and from nothing else', async () => {
  const at = (name: string): string => join(folder, name);
  await writeFile(at('key.cbor'), encodeKey(key.publicKey));
  assert.deepEqual(await readPublicKey(at('key.cbor')), key.publicKey);
  const made = [
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    generateKeyPairSync('ed25519'),
    generateKeyPairSync('x25519'),
  ];
  for (const [n, { publicKey }] of made.entries()) {
    await writeFile(at(`pem-${n}`), publicKey.export({ format: 'pem', type: 'spki' }));
    await writeFile(at(`der-${n}`), publicKey.export({ format: 'der', type: 'spki' }));
  }
  for (const [n, curve] of ['P-256', 'Ed25519'].entries()) {
    const read = await readPublicKey(at(`pem-${n}`));
    assert.equal(read.curve, curve);
    assert.deepEqual(await readPublicKey(at(`der-${n}`)), read);
  }
  await writeFile(at('none'), 'no key');
  for (const name of ['pem-2', 'der-2', 'none'])
    await assert.rejects(readPublicKey(at(name)), { code: 'AUTHOR_FILE_INVALID' });
});

test('a key that never leaves a PKCS#11 token signs an author and its releases', async (t) => {
  const tools = ['softhsm2-util', 'pkcs11-tool', 'openssl'];
  const there = tools.every((tool) => spawnSync(tool, ['--version']).error === undefined);
  const how = 'apt-get install softhsm2 opensc openssl';
  if (!requirePart(t, 'softhsm', MODULE !== undefined && there, how)) return;
  await mkdir(join(folder, 'tokens'));
  const conf = join(folder, 'softhsm2.conf');
  await writeFile(conf, `directories.tokendir = ${join(folder, 'tokens')}\nlog.level = ERROR\n`);
  const env = `SOFTHSM2_CONF='${conf}'`;
  const token = `${env} pkcs11-tool --module ${MODULE} --token-label firmament`;
  const run = (command: string): void =>
    void execFileSync('sh', ['-c', command], { stdio: ['ignore', 'ignore', 'ignore'] });
  run(`${env} softhsm2-util --init-token --free --label firmament --pin 1234 --so-pin 5678`);
  run(`${token} --login --pin 1234 --keypairgen --key-type EC:prime256v1 --id 01 --label release`);
  const der = join(folder, 'release.der');
  run(`${token} --read-object --type pubkey --id 01 --output-file '${der}'`);
  const publicKey = await readPublicKey(der);
  // The token has no mechanism that hashes, so that is done before it.
  const signing = `${token} --login --pin 1234 --sign --mechanism ECDSA --id 01 2>/dev/null`;
  const outside = outsideKey(`openssl dgst -sha256 -binary | ${signing}`, publicKey);

  const network = fixtureNetwork();
  const author = {
    ...fixtureAuthor(network.genesis.networkId),
    key: outside,
    author: thumbprint(publicKey),
  };
  const line = fixtureLine(author.author);
  const ledger = fixtureLedger(network.genesis);
  const recovery = author.recovery.map((spare) => spare.publicKey);
  ledger.apply(registerStatement(author, 1n, { name: 'hsm', recovery, threshold: 1 }));
  ledger.apply(declareStatement(author, 2n, line));
  const release = fixtureRelease(author, line, 1n);
  ledger.apply(release.statement, release.attachment);
  ledger.apply(fixtureAnchor(author, 3n, release));
  assert.deepEqual(ledger.line(line)?.pending?.digest, release.digest);
});
