import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const MAIN = join(import.meta.dirname, 'main.ts');

function firmament(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

test('--help lists every command and is no error', () => {
  const { status, stdout } = firmament('--help');
  assert.equal(status, 0);
  assert.match(stdout, /^ {2}demo /m);
});

test('wrong usage is exit 2 and says what was wrong', () => {
  assert.equal(firmament().status, 2);
  const unknown = firmament('fly');
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /no command "fly"/);
  assert.equal(firmament('demo', '--no-such-option').status, 2);
});

test('every listed command exists and answers --help', () => {
  const listed = firmament('--help').stdout.matchAll(/^ {2}([a-z]+) /gm);
  for (const [, name = ''] of listed) {
    const { status, stdout } = firmament(name, '--help');
    assert.equal(status, 0, name);
    assert.match(stdout, new RegExp(`firmament ${name}`));
  }
});
