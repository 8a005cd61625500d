/** SUIT_Capability_Report (suit-report 5): what a manifest processor can do. */
import type { Cbor } from '../cbor/value.ts';
import { CIPHERS } from '../cose/cipher.ts';
import * as algorithm from '../cose/algorithm.ts';
import { fail } from '../errors.ts';
import type { ComponentPort } from './component-port.ts';
import { DIGEST_NUMBERS } from './digest.ts';
import { asArray, asBytes, asInteger, asMap } from './item-read.ts';
import type { Item } from './item.ts';
import {
  ACTION,
  COMMON,
  COMPONENT_TEXT,
  CONDITION,
  CONTROL,
  DEPENDENCY,
  ENVELOPE,
  MANIFEST,
  PARAMETER,
  SECTION,
  SEVERABLE,
  TEXT,
} from './label.ts';

export interface ComponentCapability {
  readonly id: readonly Uint8Array[];
  /** Any component whose identifier begins so. */
  readonly prefix: boolean;
}

/** Lists of numbers, by name; only the first three and the components must be there. */
export interface Capabilities {
  readonly components: readonly ComponentCapability[];
  readonly lists: ReadonlyMap<CapabilityList, readonly number[]>;
}

const LISTS = {
  commands: 2,
  parameters: 3,
  algorithms: 4,
  envelope: 5,
  manifest: 6,
  common: 7,
  text: 8,
  'component text': 9,
  dependency: 10,
} as const;
export type CapabilityList = keyof typeof LISTS;
const NEEDED: readonly CapabilityList[] = ['commands', 'parameters', 'algorithms'];
const COMPONENTS = 1;
const MAX_LIST = 128;

/** What this processor does over a port that has these components. */
export function capabilitiesOf(
  port: ComponentPort,
  components: readonly ComponentCapability[],
): Capabilities {
  const missing = new Set<string>();
  if (port.now === undefined) missing.add('use-before');
  if (port.battery === undefined) missing.add('minimum-battery');
  if (port.authorize === undefined) missing.add('update-authorized');
  if (port.version === undefined) missing.add('version');
  if (port.unlink === undefined) missing.add('unlink');
  if (port.wait === undefined && port.now === undefined && port.authorize === undefined)
    missing.add('wait');
  const commands = Object.entries({ ...CONDITION, ...ACTION, ...CONTROL });
  const lists: readonly [CapabilityList, readonly number[]][] = [
    ['commands', commands.flatMap(([name, number]) => (missing.has(name) ? [] : [number]))],
    ['parameters', Object.values(PARAMETER)],
    ['algorithms', algorithms(port)],
    ['envelope', [...Object.values(ENVELOPE), ...SEVERABLE.keys()]],
    ['manifest', [...Object.values(MANIFEST), ...Object.values(SECTION)]],
    ['common', Object.values(COMMON)],
    ['text', [...TEXT.keys()]],
    ['component text', [...COMPONENT_TEXT.keys()]],
    ['dependency', Object.values(DEPENDENCY)],
  ];
  return {
    components,
    lists: new Map(lists.map(([name, list]) => [name, list.toSorted((a, b) => a - b)])),
  };
}

function algorithms({ streams }: ComponentPort): readonly number[] {
  const { ES256, EDDSA, ESP256, ED25519, HMAC_256, A128KW, ECDH_ES_A128KW } = algorithm;
  const ciphers = Object.values(CIPHERS).map(({ number }) => number);
  const decryption = streams === undefined ? [] : [A128KW, ECDH_ES_A128KW, ...ciphers];
  return [...DIGEST_NUMBERS, ES256, EDDSA, ESP256, ED25519, HMAC_256, ...decryption];
}

export function capabilitiesToCbor({ components, lists }: Capabilities): Cbor {
  const ids = components.map(({ id, prefix }): Cbor => (prefix ? [...id, true] : id));
  const map = new Map<Cbor, Cbor>([[COMPONENTS, ids]]);
  for (const [name, list] of lists) map.set(LISTS[name], list);
  return map;
}

/** Keys that a later draft defines, or that are paths to others, are passed over. Errors: SUIT_TYPE. */
export function readCapabilities(item: Item): Capabilities {
  const what = 'capability report';
  const lists = new Map<CapabilityList, readonly number[]>();
  let components: readonly ComponentCapability[] | undefined;
  for (const [key, value] of asMap(item, what).entries) {
    if (key.kind !== 'integer') continue;
    const number = asInteger(key, what);
    if (number === COMPONENTS) components = filled(value, what).map(readComponent);
    const name = (Object.keys(LISTS) as CapabilityList[]).find((each) => LISTS[each] === number);
    if (name !== undefined)
      lists.set(
        name,
        filled(value, `${what}: ${name}`).map((each) => asInteger(each, `${what}: ${name}`)),
      );
  }
  if (components === undefined || NEEDED.some((name) => !lists.has(name)))
    return fail('SUIT_TYPE', `${what}: components, commands, parameters or algorithms are missing`);
  return { components, lists };
}

function filled(item: Item, what: string): readonly Item[] {
  const { items } = asArray(item, what);
  if (items.length === 0 || items.length > MAX_LIST)
    return fail('SUIT_TYPE', `${what}: 1 to ${MAX_LIST} entries`, { offset: item.start });
  return items;
}

function readComponent(item: Item): ComponentCapability {
  const what = 'capability report: component';
  const { items } = asArray(item, what);
  const last = items.at(-1);
  const prefix = last?.kind === 'boolean' && last.value;
  const parts = prefix ? items.slice(0, -1) : items;
  return { id: parts.map((part) => asBytes(part, what, { max: 64 }).value), prefix };
}
