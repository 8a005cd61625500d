/**
 * `npm run mutate [-- --only T06] [-- --file PART] [-- --list]`: takes each check of mutations.ts out of a copy of the
 * project and shows that a test fails. Exit 1 when one survives, or cannot be taken out.
 */
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ProjectCopy } from './mutation-run.ts';
import { MUTATIONS, type Mutation } from './mutations.ts';

const ROOT = join(import.meta.dirname, '..', '..');

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    file: { type: 'string', default: '' },
    list: { type: 'boolean', default: false },
  },
});
const chosen = MUTATIONS.filter(
  ({ rule, file }) =>
    (values.only === undefined || rule === values.only) && file.includes(values.file),
);

if (values.list) for (const mutation of chosen) say(describe(mutation));
else process.exitCode = (await mutateAll(chosen)) ? 0 : 1;

async function mutateAll(mutations: readonly Mutation[]): Promise<boolean> {
  if (mutations.length === 0) {
    say(values.only === undefined ? 'no mutations yet' : `no mutation of rule ${values.only}`);
    return values.only === undefined;
  }
  const workers = Math.min(2, cpus().length, mutations.length);
  using stack = new DisposableStack();
  const copies = Array.from({ length: workers }, () => stack.use(new ProjectCopy(ROOT)));

  const runs = new Map(mutations.map((m) => [JSON.stringify([m.tests, m.pattern]), m]));
  let sound = true;
  await share([...runs.values()], copies, async (mutation, copy) => {
    const { passed, count, firstFailure } = await copy.test(mutation);
    if (passed && count > 0) return;
    sound = false;
    say(`FAILS WITHOUT A MUTATION  ${mutation.tests.join(' ')}: ${firstFailure ?? 'no test ran'}`);
  });
  if (!sound) return false;

  let killed = 0;
  await share(mutations, copies, async (mutation, copy) => {
    let outcome = 'broken';
    let by = '';
    try {
      ({ outcome, by } = await copy.run(mutation));
    } catch (error) {
      by = error instanceof Error ? error.message : String(error);
    }
    if (outcome === 'killed') killed++;
    say(
      `${(outcome === 'killed' ? 'killed' : outcome.toUpperCase()).padEnd(9)} ${describe(mutation)}`,
    );
    say(`          ${outcome === 'killed' ? 'by ' : ''}${by}`);
  });
  say(`${killed} of ${mutations.length} mutations killed`);
  return killed === mutations.length;
}

/** Hands the items out to the copies, one at a time each. */
async function share<T>(
  items: readonly T[],
  copies: readonly ProjectCopy[],
  work: (item: T, copy: ProjectCopy) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  await Promise.all(
    copies.map(async (copy) => {
      for (const item of queue) await work(item, copy);
    }),
  );
}

function describe({ rule, file, find }: Mutation): string {
  const text = find.replace(/\s+/g, ' ').trim();
  return `${rule}  ${file}  ${text.length > 70 ? `${text.slice(0, 69)}…` : text}`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
