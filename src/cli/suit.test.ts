import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { suit } from './suit.ts';

const path = (name: string) =>
  fileURLToPath(new URL(`../../test/vectors/${name}`, import.meta.url));
const SIGNED = path('suit/manifest-spec-37/example2.signed.suit');
const UNSIGNED = path('suit/manifest-spec-37/example1.unsigned.suit');
const KEY = path('cose/cose_keys/suit-draft-p256.alg-7.pub.cosekey');

async function run(...args: readonly string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await suit(args, {
    stdout: (line) => out.push(line),
    stderr: (line) => err.push(line),
  });
  return { code, out, err };
}

test('verify: 0 and one JSON line with digest and sequence', async () => {
  const { code, out, err } = await run('verify', SIGNED, '--key', KEY);
  assert.deepEqual([code, out.length, err.length], [0, 1, 0]);
  const answer = JSON.parse(out[0] as string) as Record<string, unknown>;
  assert.equal(
    answer['digest'],
    '6a5197ed8f9dccf733d1c89a359441708e070b4c6dcb9a1c2c82c6165f609b90',
  );
  assert.equal(answer['sequence'], 2);
  assert.ok(!out[0]?.includes('\n'));
});

test('verify: 1 and one JSON line with code and message', async () => {
  const { code, out, err } = await run('verify', UNSIGNED, '--key', KEY);
  assert.deepEqual([code, out.length, err.length], [1, 0, 1]);
  const answer = JSON.parse(err[0] as string) as Record<string, unknown>;
  assert.equal(answer['code'], 'SUIT_UNAUTHENTICATED');
  assert.equal(typeof answer['message'], 'string');
  const notSuit = await run('verify', KEY, '--key', KEY);
  assert.equal(notSuit.code, 1);
});

test('2 for what is no verdict', async () => {
  for (const args of [
    [],
    ['verify'],
    ['verify', SIGNED],
    ['verify', '/no/such/file', '--key', KEY],
    ['verify', SIGNED, '--key', '/no/such/file'],
    ['verify', SIGNED, '--key', SIGNED],
    ['verify', SIGNED, '--key', KEY, '--odd'],
    ['inspect', SIGNED, '--key', KEY],
    ['inspect', path('suit')],
    ['sign', SIGNED],
  ])
    assert.equal((await run(...args)).code, 2, args.join(' '));
});

test('inspect: everything, signed or not', async () => {
  for (const file of [SIGNED, UNSIGNED]) {
    const { code, out } = await run('inspect', file);
    assert.equal(code, 0);
    const answer = JSON.parse(out.join('\n')) as {
      manifest: { sections: object };
      digestMatches: boolean;
    };
    assert.equal(answer.digestMatches, true);
    assert.ok('install' in answer.manifest.sections);
  }
  assert.equal((await run('inspect', KEY)).code, 1);
  assert.equal((await run('--help')).code, 0);
});
