import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Change } from '../api/changes.ts';
import { FirmamentError } from '../errors.ts';
import { lineText } from '../registry/line.ts';
import { fixtureLine } from '../testing/fixture.ts';
import { Listening, type ListeningParts } from './listening.ts';

const LINE = fixtureLine(new Uint8Array(32), 'lamp', 'stable');
const OURS = lineText(LINE);
const OTHER = lineText(fixtureLine(new Uint8Array(32).fill(1), 'lamp', 'stable'));
const TIMING = { gap: 20, longestGap: 1000, unreachable: 20, distrusted: 60_000 };

type Script = (signal: AbortSignal) => AsyncGenerator<Change, void, undefined>;

/** A gateway whose rounds bring heads of `size` and, when one changed, a release. */
function gateway(scripts: Readonly<Record<string, Script>>): ListeningParts & {
  readonly world: { size: number; release: number };
  readonly rounds: { readonly first: string }[];
  readonly distrusted: string[];
  readonly told: string[];
} {
  const world = { size: 0, release: 0 };
  const known = { size: 0, release: 0 };
  const rounds: { first: string }[] = [];
  const distrusted: string[] = [];
  const told: string[] = [];
  let preferred = '';
  return {
    world,
    rounds,
    distrusted,
    told,
    follower: {
      nodes: () => Object.keys(scripts).map((name) => ({ name }) as never),
      lines: [{ line: LINE } as never],
      prefer: (name) => (preferred = name),
      distrust: (name) => distrusted.push(name),
      headSizes: () => [known.size],
      newest: () => String(known.release),
    },
    listen: (name, signal) => (scripts[name] as Script)(signal),
    async round() {
      rounds.push({ first: preferred });
      Object.assign(known, world);
    },
    events: { add: ({ detail }) => void told.push(detail) },
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    timing: TIMING,
  };
}

async function* forever(signal: AbortSignal): AsyncGenerator<Change, void, undefined> {
  await sleep(60_000, undefined, { signal }).catch(() => {
    throw new FirmamentError('NET_ABORTED');
  });
  yield { size: 0, lines: [] };
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i++) await sleep(5);
  assert.ok(holds());
}

test('a change of our lines, or of any, is asked for where it was told; of others it is not', async () => {
  let go: (change: Change) => void = () => undefined;
  const parts = gateway({
    async *a(signal) {
      while (!signal.aborted) yield await new Promise<Change>((resolve) => (go = resolve));
    },
  });
  const listening = new Listening(parts);
  const tell = async (change: Change): Promise<void> => {
    parts.world.size = change.size;
    go(change);
    await sleep(60);
  };
  await sleep(10);
  await tell({ size: 5, lines: [OTHER] });
  assert.deepEqual(parts.rounds, []);
  await tell({ size: 6, lines: [OTHER, OURS] });
  await tell({ size: 7, lines: null });
  assert.deepEqual(parts.rounds, [{ first: 'a' }, { first: 'a' }]);
  const end = listening[Symbol.asyncDispose]();
  go({ size: 8, lines: [] });
  await end;
});

test('who announces heads that it does not have is left, and distrusted', async () => {
  const parts = gateway({
    async *a() {
      for (let size = 1000; ; size++) {
        yield { size, lines: null };
        await sleep(1);
      }
    },
    b: forever,
  });
  await using listening = new Listening(parts);
  await until(() => listening.node === 'b');
  assert.deepEqual(parts.distrusted, ['a']);
  // Three hints of which each was looked into twice.
  assert.equal(parts.rounds.length, 6);
  assert.match(parts.told.join(), /a is not listened to: GATEWAY_HINT_FALSE/);
});

test('who tells nothing of what the rounds find is left', async () => {
  const parts = gateway({ a: forever, b: forever });
  await using listening = new Listening(parts);
  for (const size of [10, 11]) {
    parts.world.size = size;
    await parts.round();
    assert.equal(listening.node, 'a');
    listening.roundEnded();
  }
  await until(() => listening.node === 'b');
  assert.match(parts.told.join(), /a is not listened to: it keeps silent/);
});

test('a flood of true words in vain makes few rounds, and ever fewer', async () => {
  const parts = gateway({
    async *a(signal) {
      for (let size = 1; !signal.aborted; size++) {
        parts.world.size = size;
        yield { size, lines: null };
        await sleep(1);
      }
    },
  });
  await using listening = new Listening(parts);
  await sleep(900);
  assert.equal(listening.node, 'a');
  // 8 gaps of 20 ms, then 20, 40, 80, 160, 320 ms.
  assert.ok(parts.rounds.length >= 8 && parts.rounds.length <= 16, String(parts.rounds.length));
});

test('a node that ends the stream or cannot be reached: another, and the first one again', async () => {
  let times = 0;
  const parts = gateway({
    async *a(signal) {
      times += 1;
      if (times < 3) throw new FirmamentError('NET_UNREACHABLE');
      yield* forever(signal);
    },
    async *b() {
      yield { size: 1, lines: [] };
    },
  });
  await using listening = new Listening(parts);
  await until(() => listening.node === 'a' && times === 3);
  assert.deepEqual(parts.distrusted, []);
  assert.deepEqual(parts.told.slice(0, 2), [
    'a is not listened to: NET_UNREACHABLE',
    'b is not listened to: it ended the stream',
  ]);
});
