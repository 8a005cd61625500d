import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { equal, hex, text, utf8 } from '../bytes.ts';
import { encodeKey, thumbprint } from '../cose/key.ts';
import { codeOf } from '../errors.ts';
import { fixtureKey, fixtureNetwork } from '../testing/fixture.ts';
import { encodeProvisioning, parseProvisioning, provisionedLine } from './provision.ts';

const author = fixtureKey('author', 'P-256').publicKey;
const network = fixtureNetwork();
const file = encodeProvisioning({
  name: 'lamp-1',
  model: 'lamp',
  vendorId: new Uint8Array(16).fill(1),
  classId: new Uint8Array(16).fill(2),
  lines: ['security', 'stable'].map((track) => ({ anchor: encodeKey(author), track })),
  root: network.root.bytes,
  floor: 1_800_000_000,
  staleInstall: 'consent',
  keyFile: 'device.key',
});
const valid = JSON.parse(text(file)) as Record<string, unknown>;
const [firstLine] = valid['lines'] as [Record<string, unknown>];

function parseWith(change: Record<string, unknown>) {
  return parseProvisioning(utf8(JSON.stringify({ ...valid, ...change })));
}

test('what the maker put in comes out, in order', () => {
  const made = parseProvisioning(file);
  assert.equal(made.name, 'lamp-1');
  assert.equal(made.staleInstall, 'consent');
  assert.deepEqual(
    made.lines.map(({ line }) => line.track),
    ['security', 'stable'],
  );
  const [line] = made.lines;
  assert.ok(line && equal(line.line.author, thumbprint(author)));
  assert.deepEqual(line.anchor, author);
  assert.deepEqual(made.root.networkId, network.root.networkId);
  assert.equal(made.root.policy.quorum, network.root.policy.quorum);
});

test('T29 a line that was not provisioned is never followed', () => {
  const made = parseProvisioning(file);
  const [line] = made.lines;
  assert.ok(line);
  assert.equal(provisionedLine(made, line.text), line);
  const foreign = line.text.replace(hex(line.line.author), 'f'.repeat(64));
  assert.throws(() => provisionedLine(made, foreign), { code: 'TRUST_UNPROVISIONED' });
  assert.throws(() => provisionedLine(made, `${line.text}x`), { code: 'TRUST_UNPROVISIONED' });
});

suite('T29 a device without one of its anchors does not start', () => {
  for (const key of Object.keys(valid))
    test(`without ${key}`, () => {
      const { [key]: _, ...rest } = valid;
      assert.throws(() => parseProvisioning(utf8(JSON.stringify(rest))), {
        code: 'DEVICE_PROVISIONING_INVALID',
      });
    });

  const wrong: Readonly<Record<string, Record<string, unknown>>> = {
    'an unknown field': { nodes: [] },
    'another format': { format: 'firmament/provisioning/v2' },
    'no line': { lines: [] },
    'the same line twice': { lines: [firstLine, firstLine] },
    'a line of another vendor': { lines: [{ ...firstLine, vendorId: '0'.repeat(32) }] },
    'an anchor that is no key': { lines: [{ ...firstLine, author: 'a0' }] },
    'a track with a slash': { lines: [{ ...firstLine, track: 'a/b' }] },
    'a root that is none': { root: 'a0' },
    'a root cut short': { root: hex(network.root.bytes.subarray(0, -1)) },
    'a floor that is text': { floor: '2026' },
    'a negative floor': { floor: -1 },
    'an unknown rule for stale': { staleInstall: 'always' },
    'a name with a line break': { name: 'a\nb' },
  };
  for (const [what, change] of Object.entries(wrong))
    test(what, () =>
      assert.throws(() => parseWith(change), { code: 'DEVICE_PROVISIONING_INVALID' }),
    );

  test('any JSON and any bytes end in a code', () => {
    const refused = (read: () => unknown): void => {
      try {
        read();
      } catch (error) {
        assert.equal(codeOf(error), 'DEVICE_PROVISIONING_INVALID');
      }
    };
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(valid)), fc.jsonValue(), (key, value) =>
        refused(() => parseWith({ [key]: value })),
      ),
    );
    fc.assert(fc.property(fc.uint8Array(), (bytes) => refused(() => parseProvisioning(bytes))));
  });
});

test('T14 a device is made with a clock, or says that it has none', () => {
  assert.equal(parseProvisioning(file).clock, undefined);
  for (const clock of ['own', 'none']) assert.equal(parseWith({ clock }).clock, clock);
  for (const clock of ['gateway', '', null, 0])
    assert.throws(() => parseWith({ clock }), { code: 'DEVICE_PROVISIONING_INVALID' });
});
