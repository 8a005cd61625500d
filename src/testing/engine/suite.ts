/** Runs every property of an engine against one network of it, one after the other on the same ledger. */
import type { TestContext } from 'node:test';
import { seeded, seedOf } from '../seeded.ts';
import type { Engine } from './engine.ts';
import { FOLLOWING } from './following-properties.ts';
import { ORDERING } from './ordering-properties.ts';
import type { Property } from './property.ts';
import { RESTARTING } from './restart-properties.ts';

/** The one list that each engine must satisfy. */
const PROPERTIES: readonly Property[] = [...ORDERING, ...FOLLOWING, ...RESTARTING];

export async function engineSuite(t: TestContext, start: () => Promise<Engine>): Promise<void> {
  const random = seeded(seedOf((line) => t.diagnostic(line)));
  await using engine = await start();
  for (const { name, run } of PROPERTIES)
    await t.test(name, { timeout: 120_000 }, () => run(engine, random));
}
