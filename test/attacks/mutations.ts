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

export const MUTATIONS: readonly Mutation[] = [
  {
    rule: 'T03',
    file: 'src/registry/line.ts',
    find: 'concat(line.author, line.vendor, line.class, utf8(line.track))',
    replace: 'concat(line.vendor, line.class, utf8(line.track))',
    tests: ['test/attacks/T03-lines.test.ts'],
  },
  {
    rule: 'T03',
    file: 'src/registry/apply.ts',
    find: `check(statement.subject.startsWith(\`\${statement.issuer}/\`), 'LINE_FOREIGN');`,
    replace: '',
    tests: ['test/attacks/T03-lines.test.ts'],
  },
  {
    rule: 'T03',
    file: 'src/registry/rules/line-declare.ts',
    find: "check(statement.subject === lineText(line), 'STATEMENT_SUBJECT');",
    replace: '',
    tests: ['test/attacks/T03-lines.test.ts'],
  },
  {
    rule: 'T03',
    file: 'src/registry/rules/line-declare.ts',
    find: "check(getLine(view, key) === undefined, 'LINE_EXISTS');",
    replace: '',
    tests: ['test/attacks/T03-lines.test.ts'],
  },
  {
    rule: 'T04',
    file: 'src/registry/apply.ts',
    find: "check(statement.network === hex(networkId), 'STATEMENT_NETWORK');",
    replace: '',
    tests: ['test/attacks/T04-meaning.test.ts'],
  },
  {
    rule: 'T04',
    file: 'src/registry/apply.ts',
    find: 'equal(statement.keyId, keyId)',
    replace: 'true',
    tests: ['test/attacks/T04-meaning.test.ts'],
  },
  {
    rule: 'T04',
    file: 'src/registry/apply.ts',
    find: 'verifySign1(statement.sign1, key);',
    replace: '',
    tests: ['test/attacks/T04-meaning.test.ts'],
  },
  {
    rule: 'T04',
    file: 'src/registry/apply.ts',
    find: "check(statement.counter > author.counter, 'STATEMENT_COUNTER');",
    replace: '',
    tests: ['test/attacks/T04-meaning.test.ts'],
  },
  {
    rule: 'T04',
    file: 'src/registry/apply.ts',
    find: "check(statement.counter > getNodeCounter(view, signer.name), 'STATEMENT_COUNTER');",
    replace: '',
    tests: ['test/attacks/T04-meaning.test.ts'],
  },
  {
    rule: 'T04',
    file: 'src/registry/rules/release-register.ts',
    find: 'equal(vendorId, line.vendor) && equal(classId, line.class)',
    replace: 'true',
    tests: ['test/attacks/T04-meaning.test.ts'],
  },
  {
    rule: 'T04',
    file: 'src/registry/rules/release-register.ts',
    find: 'manifest.sequence === statement.counter',
    replace: 'true',
    tests: ['test/attacks/T04-meaning.test.ts'],
  },
  {
    rule: 'T04',
    file: 'src/registry/claims.ts',
    find: "onlyKeys(header, [label.ALG, label.KID, label.CWT_CLAIMS, label.TYP], 'protected header');",
    replace: '',
    tests: ['test/attacks/T04-meaning.test.ts'],
  },
  {
    rule: 'T04',
    file: 'src/registry/claims.ts',
    find: "onlyKeys(claims, kind === 'release' ? [...COMMON, ...OF_A_RELEASE] : COMMON, 'CWT claims');",
    replace: '',
    tests: ['test/attacks/T04-meaning.test.ts'],
  },
  {
    rule: 'T05',
    file: 'src/registry/statement.ts',
    find: 'sign1.unprotected.size === 0',
    replace: 'true',
    tests: ['test/attacks/T05-encoding.test.ts'],
  },
  {
    rule: 'T05',
    file: 'src/registry/statement.ts',
    find: 'sign1.protectedBytes.length <= MAX_PROTECTED',
    replace: 'true',
    tests: ['test/attacks/T05-encoding.test.ts'],
  },
  {
    rule: 'T05',
    file: 'src/registry/apply.ts',
    find: "curveOf(statement.sign1.algorithm) !== 'P-256' || isLowS(statement.sign1.signature),",
    replace: 'true,',
    tests: ['test/attacks/T05-encoding.test.ts'],
  },
  {
    rule: 'T05',
    file: 'src/cose/sign1.ts',
    find: 'check(signature.length === SIGNATURE_LENGTH,',
    replace: 'check(true,',
    tests: ['test/attacks/T05-encoding.test.ts'],
  },
  {
    rule: 'T09',
    file: 'src/registry/policy.ts',
    find: '2 * k - n > f',
    replace: 'true',
    tests: ['test/attacks/T09-policy.test.ts'],
  },
  {
    rule: 'T09',
    file: 'src/registry/policy.ts',
    find: 'n - 1 >= k ||',
    replace: 'true ||',
    tests: ['test/attacks/T09-policy.test.ts'],
  },
  {
    rule: 'T09',
    file: 'src/registry/policy.ts',
    find: 'check(n <= 2,',
    replace: 'check(true,',
    tests: ['test/attacks/T09-policy.test.ts'],
  },
  {
    rule: 'T09',
    file: 'src/registry/policy.ts',
    find: 'check(n >= 3,',
    replace: 'check(true,',
    tests: ['test/attacks/T09-policy.test.ts'],
  },
  {
    rule: 'T09',
    file: 'src/registry/policy.ts',
    find: 'policy.copiesElsewhere >= 1',
    replace: 'true',
    tests: ['test/attacks/T09-policy.test.ts'],
  },
  {
    rule: 'T13',
    file: 'src/registry/policy.ts',
    find: 'check(twice === undefined,',
    replace: 'check(true,',
    tests: ['test/attacks/T09-policy.test.ts'],
  },
  {
    rule: 'T16',
    file: 'src/registry/newest.ts',
    find: 'operators.length >= policy.copies &&',
    replace: 'true &&',
    tests: ['test/attacks/T16-newest.test.ts'],
  },
  {
    rule: 'T16',
    file: 'src/registry/newest.ts',
    find: 'elsewhere.length >= policy.copiesElsewhere',
    replace: 'true',
    tests: ['test/attacks/T16-newest.test.ts'],
  },
  {
    rule: 'T16',
    file: 'src/registry/newest.ts',
    find: 'operator.name !== author.operator',
    replace: 'true',
    tests: ['test/attacks/T16-newest.test.ts'],
  },
  {
    rule: 'T16',
    file: 'src/registry/newest.ts',
    find: 'if (found.sequence < line.lowest) break;',
    replace: '',
    tests: ['test/attacks/T16-newest.test.ts'],
  },
  {
    rule: 'T16',
    file: 'src/registry/rules/release-withdraw.ts',
    find: "check(lowest >= record.lowest && lowest <= last + 1n, 'RELEASE_LOWEST');",
    replace: '',
    tests: ['test/attacks/T16-newest.test.ts'],
  },
  {
    rule: 'T16',
    file: 'src/registry/rules/release-withdraw.ts',
    find: "setRelease(view, key, { ...release, status: 'withdrawn' });",
    replace: '',
    tests: ['test/attacks/T16-newest.test.ts'],
  },
  {
    rule: 'T16',
    file: 'src/registry/rules/release-register.ts',
    find: 'statement.counter > last &&',
    replace: 'true &&',
    tests: ['test/attacks/T16-newest.test.ts'],
  },
  {
    rule: 'T16',
    file: 'src/registry/rules/release-register.ts',
    find: 'statement.counter <= last + MAX_STEP',
    replace: 'true',
    tests: ['test/attacks/T16-newest.test.ts'],
  },
  {
    rule: 'T20',
    file: 'src/registry/apply.ts',
    find: "check((attachment !== null) === (statement.kind === 'release'), 'ATTACHMENT_MISSING');",
    replace: '',
    tests: ['test/attacks/T20-attachment.test.ts'],
  },
  {
    rule: 'T20',
    file: 'src/registry/rules/release-register.ts',
    find: "check(equal(sha256(attachment), bytes), 'ATTACHMENT_MISMATCH');",
    replace: '',
    tests: ['test/attacks/T20-attachment.test.ts'],
  },
];
