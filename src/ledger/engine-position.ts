/** How far a CometBFT chain was applied here: the one thing in the ledger's database that is not of the ledger. */
import type { Database } from '../database.ts';
import { getMeta, setMeta } from './schema.ts';

export interface EnginePosition {
  /** Of the engine's last block that was committed here. */
  readonly height: number;
  /** Of our newest block after it. */
  readonly ledger: number;
}

const NAME = 'engine';

export function readPosition(database: Database, chain: number): EnginePosition | undefined {
  const text = getMeta(database, NAME);
  if (typeof text !== 'string') return undefined;
  const [of, height, ledger] = text.split('/').map(Number);
  if (of !== chain || height === undefined || ledger === undefined) return undefined;
  return { height, ledger };
}

export function writePosition(
  database: Database,
  chain: number,
  { height, ledger }: EnginePosition,
): void {
  setMeta(database, NAME, `${chain}/${height}/${ledger}`);
}

export function forgetPosition(database: Database): void {
  database.prepare('DELETE FROM meta WHERE name = ?').run(NAME);
}
