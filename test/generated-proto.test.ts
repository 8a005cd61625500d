import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..');

test('src/proto is what the generator of the installed version makes of proto', () => {
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const sources = globSync('tendermint/**/*.proto', { cwd: join(ROOT, 'proto') }).toSorted();
  const generated = globSync('**/*_pb.js', { cwd: join(ROOT, 'src/proto') }).toSorted();
  assert.deepEqual(
    generated,
    sources.map((path) => path.replace('.proto', '_pb.js')),
  );
  for (const path of generated) {
    const [by, from] = readFileSync(join(ROOT, 'src/proto', path), 'utf8').split('\n');
    assert.match(by ?? '', new RegExp(`protoc-gen-es v${dependencies['@bufbuild/protobuf']} `));
    assert.ok(from?.includes(path.replace('_pb.js', '.proto')), path);
  }
});
