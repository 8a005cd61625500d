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

const T09_POLICY = ['test/attacks/T09-policy.test.ts'];

export const MUTATIONS: readonly Mutation[] = [
  {
    rule: 'T09',
    file: 'src/registry/policy.ts',
    find: '2 * k - n > f',
    replace: 'true',
    tests: T09_POLICY,
  },
  {
    rule: 'T09',
    file: 'src/registry/policy.ts',
    find: 'n - 1 >= k ||',
    replace: 'true ||',
    tests: T09_POLICY,
  },
  {
    rule: 'T09',
    file: 'src/registry/policy.ts',
    find: 'check(n <= 2,',
    replace: 'check(true,',
    tests: T09_POLICY,
  },
  {
    rule: 'T09',
    file: 'src/registry/policy.ts',
    find: 'check(n >= 3,',
    replace: 'check(true,',
    tests: T09_POLICY,
  },
  {
    rule: 'T09',
    file: 'src/registry/policy.ts',
    find: 'check(policy.copiesElsewhere >= 1,',
    replace: 'check(true,',
    tests: T09_POLICY,
  },
  {
    rule: 'T13',
    file: 'src/registry/policy.ts',
    find: 'check(twice === undefined,',
    replace: 'check(true,',
    tests: T09_POLICY,
  },
];
