/** The networks and lines of a gateway's configuration: whom the owner follows, and for which hardware. */
import { resolve } from 'node:path';
import { fromHex } from '../bytes.ts';
import { decodeKey, thumbprint } from '../cose/key.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check } from '../errors.ts';
import { lineOf, type Line } from '../registry/line.ts';
import { parseRoot, type Root } from '../registry/root.ts';
import {
  list,
  object,
  optionalList,
  readBounded,
  readBytes,
  shaped,
  text,
  uuid,
} from './config-fields.ts';

/** Hardware that a line's releases are for. */
export interface Compatible {
  readonly type: string;
  readonly model: string;
  readonly hardware: readonly string[];
}

/** A line that the owner follows. The anchor comes from the maker, never from a network (T29). */
export interface FollowedByOwner {
  readonly name: string;
  readonly line: Line;
  readonly anchor: PublicKey;
  readonly compatible: readonly Compatible[];
  /** The author's own servers, a fallback (T30). */
  readonly urls: readonly string[];
  /** Certificate authorities (PEM) of these servers, instead of the system's; null: the system's. */
  readonly urlsCa: string | null;
  /** Reports about its releases are sealed to this key of the author's (P-256); null: they stay here (T25). */
  readonly reportKey: PublicKey | null;
}

export interface NetworkConfig {
  readonly root: Root;
  readonly lines: readonly FollowedByOwner[];
}

/** Errors: GATEWAY_CONFIG. */
export function networkOf(value: unknown, folder: string): NetworkConfig {
  const network = object(value, 'network', ['root', 'lines']);
  return {
    root: shaped('root', () =>
      parseRoot(readBytes(resolve(folder, text(network['root'], 'root')))),
    ),
    lines: list(network['lines'], 'lines').map((line) => lineOfConfig(line, folder)),
  };
}

function lineOfConfig(value: unknown, folder: string): FollowedByOwner {
  const line = object(value, 'line', [
    'name',
    'anchor',
    'vendor',
    'class',
    'track',
    'for',
    'urls',
    'urlsCa',
    'reportKey',
  ]);
  const anchor = keyOf(line['anchor'], 'anchor', folder);
  return {
    name: text(line['name'], 'line name'),
    anchor,
    line: shaped('line', () =>
      lineOf({
        author: thumbprint(anchor),
        vendor: uuid(line['vendor'], 'vendor'),
        class: uuid(line['class'], 'class'),
        track: line['track'] === undefined ? 'stable' : text(line['track'], 'track'),
      }),
    ),
    compatible: list(line['for'], 'for').map((entry) => {
      const hardware = object(entry, 'for', ['type', 'model', 'hardware']);
      return {
        type: text(hardware['type'], 'type'),
        model: text(hardware['model'], 'model'),
        hardware: list(hardware['hardware'], 'hardware').map((version) =>
          text(version, 'hardware'),
        ),
      };
    }),
    urls: optionalList(line['urls'], 'urls').map((url) => httpsUrl(url)),
    urlsCa:
      line['urlsCa'] === undefined
        ? null
        : readBounded(resolve(folder, text(line['urlsCa'], 'urlsCa'))),
    reportKey: reportKeyOf(line['reportKey'], folder),
  };
}

function reportKeyOf(value: unknown, folder: string): PublicKey | null {
  if (value === undefined || value === null) return null;
  const key = keyOf(value, 'reportKey', folder);
  check(key.curve === 'P-256', 'GATEWAY_CONFIG', '"reportKey" is a P-256 key');
  return key;
}

/** A COSE_Key: hex, or a file. */
function keyOf(value: unknown, what: string, folder: string): PublicKey {
  const said = text(value, what);
  const bytes = /^(?:[0-9a-f]{2})+$/.test(said) ? fromHex(said) : readBytes(resolve(folder, said));
  return shaped(what, () => decodeKey(bytes));
}

function httpsUrl(value: unknown): string {
  const url = URL.parse(text(value, 'url'));
  check(
    url?.protocol === 'https:' && url.username === '' && url.search === '' && url.hash === '',
    'GATEWAY_CONFIG',
    '"urls" are https URLs of folders',
  );
  return url.href.replace(/\/$/, '');
}
