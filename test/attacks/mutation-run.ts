/** Runs tests in a copy of the project in which one check has been taken out. */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mutation } from './mutations.ts';

/** What the mutated project needs of the tree; node_modules is linked. */
const COPIED = [
  'package.json',
  'tsconfig.json',
  'src',
  'test',
  'docs',
  'examples',
  'ARCHITECTURE.md',
];

const TIMEOUT_MS = 180_000;

export type Outcome = 'killed' | 'survived' | 'broken' | 'timed out';

export interface TestRun {
  readonly passed: boolean;
  readonly timedOut: boolean;
  /** How many tests ran; a file that cannot be loaded counts as one. */
  readonly count: number;
  readonly firstFailure: string | undefined;
}

/** A copy of the project that removes itself. */
export class ProjectCopy implements Disposable {
  readonly directory: string;

  constructor(root: string) {
    this.directory = mkdtempSync(join(tmpdir(), 'firmament-mutate-'));
    for (const name of COPIED)
      cpSync(join(root, name), join(this.directory, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(this.directory, 'node_modules'));
  }

  /** Runs the mutation's tests with its edit made, and takes the edit back. */
  async run(mutation: Mutation): Promise<{ outcome: Outcome; by: string }> {
    const path = join(this.directory, mutation.file);
    const source = readFileSync(path, 'utf8');
    const edited = mutated(mutation, source);
    writeFileSync(path, edited);
    try {
      // An edit that does not even parse would fail every test and prove nothing.
      if (!parses(edited)) return { outcome: 'broken', by: 'the edit does not parse' };
      const run = await this.test(mutation);
      if (run.timedOut) return { outcome: 'timed out', by: '' };
      if (run.passed) return { outcome: 'survived', by: `${run.count} tests passed` };
      // A test file that fails as a whole (it cannot be loaded) says nothing about the check.
      const whole = mutation.tests.some((path) => run.firstFailure?.endsWith(path) === true);
      return { outcome: whole ? 'broken' : 'killed', by: run.firstFailure ?? '' };
    } finally {
      writeFileSync(path, source);
    }
  }

  /** Runs test files as they are in the copy. */
  async test({ tests, pattern }: Pick<Mutation, 'tests' | 'pattern'>): Promise<TestRun> {
    const names = pattern === undefined ? [] : [`--test-name-pattern=${pattern}`];
    const args = ['--test', '--test-reporter=tap', '--test-concurrency=1', ...names, ...tests];
    const { status, output, timedOut } = await collect(args, this.directory);
    const failed = [...output.matchAll(/^ *not ok \d+ - (.*)$/gm)].map((match) => match[1] ?? '');
    return {
      passed: status === 0,
      timedOut,
      count: Number(/^# tests (\d+)$/m.exec(output)?.[1] ?? 0),
      firstFailure: failed[0],
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The source with the edit made. Throws when `find` is not there exactly once. */
export function mutated({ file, find, replace }: Mutation, source: string): string {
  const parts = source.split(find);
  if (parts.length !== 2)
    throw new Error(`${file}: found ${parts.length - 1} times instead of once: ${find}`);
  return parts.join(replace);
}

function parses(source: string): boolean {
  try {
    stripTypeScriptTypes(source);
    return true;
  } catch {
    return false;
  }
}

function collect(
  args: readonly string[],
  cwd: string,
): Promise<{ status: number | null; output: string; timedOut: boolean }> {
  const { promise, resolve, reject } = Promise.withResolvers<{
    status: number | null;
    output: string;
    timedOut: boolean;
  }>();
  // Set by a test runner for its own children; with it `--test` would report upwards instead.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  // A group of its own, so that what the tests started ends with them.
  const child = spawn(process.execPath, args, { cwd, env, detached: true });
  let output = '';
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, TIMEOUT_MS);
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.resume();
  child.on('error', reject);
  child.on('close', (status) => {
    clearTimeout(timer);
    resolve({ status, output, timedOut });
  });
  return promise;
}
