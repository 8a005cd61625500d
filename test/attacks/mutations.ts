/**
 * Every security check that a rule of docs/threats.md rests on, with the edit that takes it out and
 * the tests that must then fail. `npm run mutate` runs the list.
 */
export interface Mutation {
  /** The rule of docs/threats.md: T06. */
  readonly rule: string;
  readonly file: string;
  /** Source text that occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** Test files, of which at least one must fail. */
  readonly tests: readonly string[];
  /** Runs only the tests whose names match. */
  readonly pattern?: string;
}

export const MUTATIONS: readonly Mutation[] = [];
