/** Several edits of one file, each of them seen by one test. */
import type { Mutation } from './mutations.ts';

export function mutations(
  rule: string,
  file: string,
  test: string,
  edits: readonly (readonly [find: string, replace: string])[],
): readonly Mutation[] {
  return edits.map(([find, replace]) => ({ rule, file, find, replace, tests: [test] }));
}
