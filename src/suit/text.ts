/** The text member (draft 8.4.4): what people read about a manifest, by language. */
import { check, fail } from '../errors.ts';
import { asArray, asBytes, asInteger, asMap, asText } from './item-read.ts';
import type { Item } from './item.ts';
import { COMPONENT_TEXT, TEXT } from './label.ts';

export interface ComponentText {
  readonly component: readonly Uint8Array[];
  /** By name of draft 8.4.4: vendorName, modelName, ... */
  readonly fields: ReadonlyMap<string, string>;
}

export interface LanguageText {
  readonly language: string;
  readonly fields: ReadonlyMap<string, string>;
  readonly components: readonly ComponentText[];
}

const MAX_TEXT_BYTES = 32_768;
const LANGUAGE = /^[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*$/;

/** Errors: SUIT_KEY_UNKNOWN, SUIT_TYPE. */
export function readText(item: Item): readonly LanguageText[] {
  const map = asMap(item, 'text');
  if (map.entries.length === 0)
    return fail('SUIT_TYPE', 'text: no language', { offset: item.start });
  return map.entries.map(([key, value]) => {
    const language = asText(key, 'text: language tag', 64);
    check(LANGUAGE.test(language), 'SUIT_TYPE', `text: not a language tag at byte ${key.start}`, {
      offset: key.start,
    });
    return readLanguage(language, value);
  });
}

function readLanguage(language: string, item: Item): LanguageText {
  const found = new Map<string, string>();
  const components: ComponentText[] = [];
  for (const [key, value] of asMap(item, 'text: language').entries) {
    if (key.kind === 'array') components.push(readComponent(key, value));
    else readField(found, key, value, TEXT);
  }
  return { language, fields: found, components };
}

function readComponent(key: Item, value: Item): ComponentText {
  const component = asArray(key, 'text: component').items.map(
    (part) => asBytes(part, 'text: component identifier').value,
  );
  const found = new Map<string, string>();
  for (const [name, text] of asMap(value, 'text: component').entries)
    readField(found, name, text, COMPONENT_TEXT);
  return { component, fields: found };
}

function readField(
  into: Map<string, string>,
  key: Item,
  value: Item,
  names: ReadonlyMap<number, string>,
): void {
  const number = asInteger(key, 'text: key');
  const name = names.get(number);
  if (name === undefined)
    return fail('SUIT_KEY_UNKNOWN', `text: unknown key ${number} at byte ${key.start}`, {
      key: number,
      offset: key.start,
    });
  into.set(name, asText(value, `text: ${name}`, MAX_TEXT_BYTES));
}
