/** A property that every engine has, and what properties are written with. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Placement } from '../../ledger/committed-ledger.ts';
import type { Head } from '../../ledger/close-block.ts';
import type { Transaction } from '../../registry/statement.ts';
import type { FixtureAuthor } from '../fixture.ts';
import { declaration, registeredAuthor } from '../ledger-fixture.ts';
import type { Engine, EngineNode } from './engine.ts';

export interface Property {
  readonly name: string;
  /** Throws when the engine does not have it. Leaves every node running. `random`: from 0 to below 1. */
  readonly run: (engine: Engine, random: () => number) => Promise<void>;
}

const PATIENCE_MS = 60_000;

let authors = 0;

/**
 * Waits until every node has the group: what one node acknowledged, another may not have stored yet, and refuse what
 * builds upon it.
 */
export async function knownEverywhere(
  engine: Engine,
  group: readonly Transaction[],
): Promise<void> {
  for (const node of engine.nodes)
    for (const { statement } of group)
      await until(
        `a statement at ${node.name}`,
        () => node.find(statement.signingDigest),
        (found) => found !== undefined,
      );
}

/** A new author that every node knows. */
export async function enrolled(engine: Engine): Promise<FixtureAuthor> {
  const { author, group } = registeredAuthor(engine.network, `author ${++authors}`);
  await (engine.nodes[0] as EngineNode).submit(group);
  await knownEverywhere(engine, group);
  return author;
}

/** An author that is on no ledger, and its registration. */
export function newcomer(engine: Engine): ReturnType<typeof registeredAuthor> {
  return registeredAuthor(engine.network, `newcomer ${++authors}`);
}

export function declarations(
  author: FixtureAuthor,
  count: number,
  from = 0,
): readonly Transaction[] {
  return Array.from({ length: count }, (_, i) => declaration(author, from + i));
}

/** The code that a group is refused with. */
export async function refusedWith(
  answer: Promise<readonly Placement[]>,
): Promise<string | undefined> {
  try {
    await answer;
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** Asks until the answer fits. */
export async function until<T>(
  what: string,
  ask: () => Promise<T>,
  fits: (answer: T) => boolean,
): Promise<T> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined && fits(answer)) return answer;
    if (performance.now() > end) throw new Error(`${what}: not within ${PATIENCE_MS} ms`);
    await sleep(20);
  }
}

/** Waits until every node has the newest block that any has, and checks that they have the same. */
export async function agreed(engine: Engine): Promise<Head> {
  const heads = await Promise.all(engine.nodes.map((node) => node.head()));
  const height = Math.max(...heads.map((head) => head.height));
  const [first, ...rest] = await Promise.all(
    engine.nodes.map((node) =>
      until(
        `${node.name} at ${height}`,
        () => node.headAt(height),
        () => true,
      ),
    ),
  );
  assert.ok(first);
  for (const head of rest) assert.deepEqual(head, first);
  return first;
}
