import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sha256 } from '#crypto';
import { hex, utf8 } from '../bytes.ts';
import { encodeKey } from '../cose/key.ts';
import { testAuthor, type TestAuthor, type TestRelease } from '../testing/network-author.ts';
import { startTestNetwork, type TestNetwork } from '../testing/network.ts';
import { device } from './device.ts';
import { release } from './release.ts';
import { suit } from './suit.ts';

type Json = Readonly<Record<string, unknown>>;
type Command = typeof release;

let network: TestNetwork;
let author: TestAuthor;
let published: TestRelease;
const at = (name: string): string => join(network.folder, name);

async function run(command: Command, ...args: readonly string[]) {
  const out: string[] = [];
  const errors: string[] = [];
  const io = {
    stdout: (l: string) => void out.push(l),
    stderr: (l: string) => void errors.push(l),
  };
  const code = await command(args, io);
  return { code, out, errors };
}

async function json(command: Command, ...args: readonly string[]): Promise<Json> {
  const { out, errors } = await run(command, ...args, '--json');
  return JSON.parse((out.at(-1) ?? errors.at(-1)) as string) as Json;
}

before(async () => {
  network = await startTestNetwork({ operators: 1 });
  author = await testAuthor(network);
  const digest = sha256(utf8('sbom'));
  const documents = [{ type: 'SBOM', digest, where: 'https://acme.example/sbom' }];
  const claims = { documents, urgency: 'security', supportUntil: 2_082_758_400 } as const;
  published = await author.publish({ version: '1.0.0', claims });
});
after(() => network[Symbol.asyncDispose]());

test('a release goes out into a file, and into a device without a network', async () => {
  const digest = hex(published.digest);
  const pinned = ['--root', network.rootFile];
  const made = await json(release, 'export', digest, ...pinned, '--out', at('one.car'));
  assert.deepEqual([made['digest'], made['version'], made['links']], [digest, '1.0.0', 1]);
  assert.equal((made['images'] as readonly Json[])[0]?.['size'], 1000);

  await writeFile(at('author.cbor'), encodeKey(author.anchor));
  const { release: line } = published;
  const uuid = (bytes: Uint8Array): string =>
    hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  const model = ['--vendor', uuid(line.vendor), '--class', uuid(line.class), '--model', 'lamp'];
  const making = [at('lamp'), ...pinned, '--author', at('author.cbor'), ...model];
  assert.equal((await run(device, 'provision', ...making)).code, 0);
  await network.stop(network.names[0] as string);
  try {
    const polled = await run(device, 'poll', at('lamp'), '--archive', at('one.car'));
    assert.equal(polled.code, 0, polled.errors.join('\n'));
    const result = JSON.parse(polled.out.at(-1) as string) as Json;
    assert.deepEqual([result['outcome'], result['digest']], ['installed', digest]);
  } finally {
    await network.start(network.names[0] as string);
  }
  const both = run(device, 'poll', at('lamp'), '--archive', at('one.car'), '--nodes', 'a/n1');
  await assert.rejects(both, { code: 'ERR_PARSE_ARGS_USAGE' });
});

test('an archive goes back to a node that the root names', async () => {
  const pinned = ['--root', network.rootFile];
  const done = await json(release, 'import', at('one.car'), ...pinned, '--to-node', 'a/n1');
  assert.deepEqual([done['node'], done['digest']], ['a/n1', hex(published.digest)]);
  const nobody = run(release, 'import', at('one.car'), ...pinned, '--to-node', 'b/n1');
  await assert.rejects(nobody, { code: 'ERR_PARSE_ARGS_USAGE' });
  const other = await run(release, 'import', network.rootFile, ...pinned, '--to-node', 'a/n1');
  assert.equal(other.code, 1);
});

test('status and inspect show what the author says of the release', async () => {
  const digest = hex(published.digest);
  const said = await json(release, 'status', digest, '--network', network.rootFile);
  assert.deepEqual(said['description'], {
    version: '1.0.0',
    kind: 'security',
    applies: null,
    via: null,
    supportUntil: 2_082_758_400,
    documents: [
      { type: 'SBOM', sha256: hex(sha256(utf8('sbom'))), where: 'https://acme.example/sbom' },
    ],
  });
  const { out } = await run(release, 'status', digest, '--network', network.rootFile);
  assert.ok(out.includes('supported until 2036-01-01T00:00:00.000Z'), out.join('\n'));
  await writeFile(at('one.suit'), published.envelope);
  const inspected = await run(suit, 'inspect', at('one.suit'));
  const { release: claims } = JSON.parse(inspected.out.join('\n')) as { readonly release: Json };
  assert.deepEqual(claims, said['description']);
});
