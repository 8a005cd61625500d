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

test('paths are relative to the folder in which npm run was typed', () => {
  const root = join(MAIN, '../../..');
  const run = (cwd: string, env: Record<string, string>) =>
    spawnSync(process.execPath, [MAIN, 'suit', 'inspect', 'README.md'], {
      cwd,
      encoding: 'utf8',
      env: { ...env, npm_package_name: 'firmament', npm_lifecycle_event: 'firmament' },
    }).status;
  // 1: it was there, and is no envelope. 2: no such file.
  assert.equal(run(join(root, 'src'), { INIT_CWD: root }), 1);
  assert.equal(run(root, { INIT_CWD: join(root, 'src') }), 2);
  assert.equal(run(root, {}), 1);
});
