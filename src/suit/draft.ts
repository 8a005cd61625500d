/** Old drafts, recognised by the numbers that they gave to what has another number today. */
import { fail } from '../errors.ts';
import type { MapItem } from './item.ts';

const OLD_KEYS: ReadonlyMap<bigint, string> = new Map([
  [10n, 'validate at 10: the numbering of drafts 09 to 11; draft 37 has it at 7'],
  [11n, 'load at 11: the numbering of drafts 09 to 11; draft 37 has it at 8'],
  [12n, 'run at 12: the numbering of drafts 09 to 11; draft 37 has invoke at 9'],
  [13n, 'text at 13: the numbering of drafts 09 to 11; draft 37 has it at 23'],
  [17n, 'install at 17: the numbering of drafts 12 to 26; draft 37 has it at 20'],
]);

/** Refuses a manifest or envelope map with a key that only old drafts had. Errors: SUIT_DRAFT_OLD. */
export function refuseOldDraft(map: MapItem, what: string): void {
  for (const [key] of map.entries) {
    const told = key.kind === 'integer' ? OLD_KEYS.get(key.value) : undefined;
    if (told !== undefined)
      fail('SUIT_DRAFT_OLD', `${what}: ${told} (byte ${key.start})`, { offset: key.start });
  }
}
