import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { readOrder, violations, type SourceFile } from './architecture.ts';
import { importsOf, scan } from './source-scan.ts';

const ROOT = join(import.meta.dirname, '..');
const order = readOrder(readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8'));
const files: readonly SourceFile[] = globSync('src/**/*.ts', { cwd: ROOT }).map((path) => ({
  path: path.replaceAll('\\', '/'),
  text: readFileSync(join(ROOT, path), 'utf8'),
}));

test('the source keeps the law', () => {
  assert.ok(files.length > 5);
  assert.deepEqual(violations(files, order), []);
});

// Each plants one violation among the real files and must see exactly that one.
const PLANTED: readonly (readonly [what: string, path: string, text: string, says: RegExp])[] = [
  [
    'a folder below',
    'src/log/x.ts',
    `import { a } from '../registry/state.ts';`,
    /stands below log/,
  ],
  ['a type from below', 'src/cbor/x.ts', `import type { A } from '../cose/a.ts';`, /below cbor/],
  ['an export from below', 'src/cbor/x.ts', `export { a } from '../suit/a.ts';`, /below cbor/],
  ['a dynamic import', 'src/suit/x.ts', `const a = await import('../trust/a.ts');`, /below suit/],
  ['an inline type', 'src/suit/x.ts', `type A = import('../trust/a.ts').A;`, /below suit/],
  [
    'an import of many lines',
    'src/log/x.ts',
    `import {\n  a,\n} from\n  '../api/a.ts';`,
    /below log/,
  ],
  ['crypto from above it', 'src/errors.ts', `import { sha256 } from '#crypto';`, /below errors/],
  ['a computed import', 'src/node/x.ts', 'await import(`./${name}.ts`);', /something computed/],
  [
    'a role in a role',
    'src/node/x.ts',
    `import { a } from '../author/a.ts';`,
    /imports the role author/,
  ],
  ['a contract under I/O', 'src/store/x.ts', `import { a } from '../api/a.ts';`, /imports api/],
  ['a test', 'src/node/x.ts', `import { a } from './y.test.ts';`, /imports the test/],
  ['what is outside', 'src/node/x.ts', `import { a } from '../../test/a.ts';`, /outside of src/],
  ['an unlisted folder', 'src/extra/x.ts', '', /does not list/],
  ['an import of an unlisted folder', 'src/cli/x.ts', `import '../extra/x.ts';`, /does not list/],
  [
    'node: in a pure folder',
    'src/cose/x.ts',
    `import { readFileSync } from 'node:fs';`,
    /imports node:fs/,
  ],
  [
    'node: in crypto',
    'src/crypto/x.ts',
    `import { hash } from 'node:crypto';`,
    /imports node:crypto/,
  ],
  [
    'a package in a pure folder',
    'src/trust/x.ts',
    `import { decode } from 'cbor2';`,
    /imports cbor2/,
  ],
  [
    'protobuf in a pure folder',
    'src/registry/x.ts',
    `import { create } from '@bufbuild/protobuf';`,
    /imports @bufbuild\/protobuf/,
  ],
  [
    'more of protobuf than messages',
    'src/light/x.ts',
    `import { reflect } from '@bufbuild/protobuf/reflect';`,
    /imports @bufbuild\/protobuf\/reflect/,
  ],
  [
    'a folder below generated code',
    'src/proto/x.ts',
    `import { a } from '../light/a.ts';`,
    /below proto/,
  ],
  ['Buffer', 'src/api/x.ts', 'export const a = Buffer.from([1]);', /uses Buffer/],
  ['Date.now', 'src/trust/x.ts', 'export const a = Date.now();', /uses Date.now/],
  ['new Date()', 'src/trust/x.ts', 'export const a = new Date( );', /uses new Date/],
  ['Math.random', 'src/suit/x.ts', 'export const a = `${Math.random()}`;', /uses Math.random/],
  ['process', 'src/registry/x.ts', 'export const a = process.version;', /uses process/],
  ['console', 'src/registry/x.ts', `console.log('x');`, /uses console/],
  ['a timer', 'src/log/x.ts', 'setTimeout(() => undefined, 1);', /uses timers/],
  ['the global crypto', 'src/crypto/x.ts', 'crypto.getRandomValues(a);', /uses crypto/],
  ['fetch', 'src/api/x.ts', `await fetch('https://example');`, /uses fetch/],
  ['globalThis', 'src/api/x.ts', 'globalThis.x = 1;', /uses globalThis/],
  ['argv', 'src/node/x.ts', 'const a = process.argv;', /mains only/],
  ['env by index', 'src/ledger/x.ts', `const a = process['env'];`, /mains only/],
  ['env unpacked', 'src/device/x.ts', 'const { env } = process;', /mains only/],
  ['a signal', 'src/node/x.ts', `process.once('SIGTERM', stop);`, /mains only/],
  ['node:process', 'src/net/x.ts', `import { env } from 'node:process';`, /mains only/],
  ['a long file', 'src/node/x.ts', '\n'.repeat(401), /more than 400 lines/],
  ['a vague name', 'src/node/utils.ts', '', /name it for what it is/],
];

suite('a planted violation is caught', () => {
  for (const [what, path, text, says] of PLANTED)
    test(what, () => {
      const found = violations(
        [...files.filter((file) => file.path !== path), { path, text }],
        order,
      );
      const planted = found.filter((sentence) => sentence.startsWith(path));
      assert.ok(
        planted.some((sentence) => says.test(sentence)),
        found.join('\n'),
      );
    });
});

test('what is allowed is not caught', () => {
  const allowed: readonly SourceFile[] = [
    { path: 'src/crypto/native.ts', text: `import { hash } from 'node:crypto';` },
    { path: 'src/crypto/x.ts', text: `import { ed25519 } from '@noble/curves/ed25519.js';` },
    {
      path: 'src/suit/x.ts',
      text: `import { sha256 } from '#crypto'; // never Buffer or Date.now()`,
    },
    {
      path: 'src/trust/x.ts',
      text: `/* console.log */ const a = new Date(ms), b = 'process.env';`,
    },
    {
      path: 'src/trust/y.ts',
      text: 'const a = /[\'"/]/.test(b) ? `Buffer` : io.process.x / c / d;',
    },
    {
      path: 'src/light/x.ts',
      text: `import { toBinary } from '@bufbuild/protobuf'; import '../proto/a_pb.js';`,
    },
    { path: 'src/node/main.ts', text: `process.once('SIGTERM', () => process.argv);` },
    { path: 'src/log/x.test.ts', text: `import '../node/a.ts'; Date.now();` },
    { path: 'src/node/x.ts', text: `import { a } from '../api/a.ts'; import 'node:fs';` },
  ];
  assert.deepEqual(violations(allowed, order), []);
});

test('the scanner is not misled by comments, strings and expressions', () => {
  const source = [
    `// import '0.ts'`,
    `const a = "import('1.ts')"; /* import '2.ts' */`,
    'const b = `import "3.ts" ${await import("4.ts")} \\` import "5.ts"`;',
    `const c = /import "6.ts"['"]/; import d from '7.ts';`,
    `const e = f / 2; import '8.ts'; const g = h / 2;`,
  ].join('\n');
  const found = importsOf(scan(source)).map(({ specifier, line }) => `${line}:${specifier}`);
  assert.deepEqual(found.toSorted(), ['3:4.ts', '4:7.ts', '5:8.ts']);
});
