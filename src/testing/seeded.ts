/** Chance that can be had again: numbers from a seed that a test prints. */

/** The seed in FIRMAMENT_SEED, or a new one; said through `say`, so that a failure can be repeated. */
export function seedOf(say: (line: string) => void): number {
  const given = Number(process.env['FIRMAMENT_SEED'] ?? NaN);
  const seed = Number.isInteger(given) ? given : Math.floor(Math.random() * 2 ** 31);
  say(`FIRMAMENT_SEED=${seed}`);
  return seed;
}

/** Numbers from 0 to below 1, the same for a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
