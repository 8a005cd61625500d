import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test, type TestContext } from 'node:test';

const SCRIPT = join(import.meta.dirname, '../scripts/install-cometbft');
const TOOLS = ['bash', 'dirname', 'sed', 'mktemp', 'mkdir', 'rm', 'mv', 'chmod', 'cat'];

/** A project of its own, and a PATH with little on it. */
function machine(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'firmament-install-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  mkdirSync(join(folder, 'scripts'));
  cpSync(SCRIPT, join(folder, 'scripts', 'install-cometbft'));
  for (const tool of TOOLS) {
    const found = (process.env['PATH'] ?? '')
      .split(delimiter)
      .map((path) => join(path, tool))
      .find((path) => spawnSync('test', ['-x', path]).status === 0);
    if (found !== undefined) symlinkSync(found, join(bin, tool));
  }
  return {
    folder,
    /** A program that answers so. */
    program: (path: string, script: string): string => {
      const file = join(folder, path);
      writeFileSync(file, `#!${join(bin, 'bash')}\n${script}\n`);
      chmodSync(file, 0o755);
      return file;
    },
    run: (...args: readonly string[]) => {
      const script = join(folder, 'scripts', 'install-cometbft');
      const env = { PATH: bin, HOME: folder };
      return spawnSync(join(bin, 'bash'), [script, ...args], { env, encoding: 'utf8' });
    },
  };
}

test('a CometBFT of the pinned version on the PATH is taken as it is', (t) => {
  const { program, run } = machine(t);
  const file = program('bin/cometbft', 'echo 0.39.4');
  const { status, stdout } = run();
  assert.deepEqual([status, stdout], [0, `${file}\n`]);
});

test('without one, and without Go, it says what to install', (t) => {
  const { program, run } = machine(t);
  // Another version than the pinned one is none.
  program('bin/cometbft', 'echo 1.0.1');
  const { status, stdout, stderr } = run('v0.38.26');
  assert.deepEqual([status, stdout], [1, '']);
  assert.match(stderr, /golang-go/);
  assert.equal(run('1.0.1').status, 2);
});

test('a module that is not what was pinned is not built', (t) => {
  const { folder, program, run } = machine(t);
  const answers = `case $1 in env) echo go1.26.8 ;; mod) printf '\\t"Dir": "${folder}",\\n\\t"Sum": "h1:other"\\n' ;; *) touch "${folder}/built" ;; esac`;
  program('bin/go', answers);
  const { status, stderr } = run();
  assert.equal(status, 1);
  assert.match(stderr, /not what was pinned: h1:other/);
});
