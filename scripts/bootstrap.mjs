// Makes a fresh clone ready: installs the packages of the lockfile when they are not there yet, and
// checks that the pinned Node is. Plain JavaScript for Node 20 and newer; costs a few milliseconds
// when there is nothing to do.
import { createHash } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..');
const lockfile = readFileSync(join(root, 'package-lock.json'));
const wanted = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies.node;
const stamp = join(root, 'node_modules', '.firmament-stamp');
const key = createHash('sha256')
  .update(lockfile)
  .update(`${process.platform} ${process.arch} ${wanted}`)
  .digest('hex');

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== key) {
  install();
  checkNode();
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(stamp, key);
}

function install() {
  console.error('firmament: installing packages (once, about half a minute)');
  rmSync(stamp, { force: true });
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const options = { cwd: root, stdio: ['ignore', 2, 2] };
  const result = npm
    ? spawnSync(process.env.npm_node_execpath ?? process.execPath, [npm, ...args], options)
    : spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
  if (result.status !== 0) stop(`npm ci failed (exit ${result.status ?? result.signal})`);
}

function checkNode() {
  const node = join(root, 'node_modules', '.bin', 'node');
  let version;
  try {
    version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
  } catch (error) {
    stop(
      `the pinned Node ${wanted} did not start from ${node} (${error.code ?? error.message}). ` +
        'The npm package "node" has builds for Linux with glibc (x64, arm64) and macOS. ' +
        'If npm skipped its install script (ignore-scripts), run: npm rebuild node',
    );
  }
  if (version !== `v${wanted}`) stop(`node_modules/.bin/node answers ${version}, not v${wanted}`);
}

function stop(message) {
  console.error(`firmament: ${message}`);
  process.exit(1);
}
