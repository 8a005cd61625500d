/** The broker of a gateway's configuration: its own, or another one. */
import { resolve } from 'node:path';
import { check, fail } from '../errors.ts';
import { listener, object, record, text, type Listener } from './config-fields.ts';

export type BrokerConfig =
  | { readonly kind: 'embedded'; readonly listen: Listener }
  | {
      readonly kind: 'external';
      /** mqtts://HOST:PORT. */
      readonly url: string;
      readonly ca: string;
      readonly certificate: string | null;
      readonly key: string | null;
      readonly username: string | null;
      readonly password: string | null;
    };

/** Errors: GATEWAY_CONFIG. */
export function brokerOf(value: unknown, folder: string): BrokerConfig {
  const broker = record(value, 'broker');
  if (broker['kind'] === 'embedded')
    return {
      kind: 'embedded',
      listen: listener(object(broker, 'broker', ['kind', 'listen'])['listen'], 'broker.listen'),
    };
  const external = object(broker, 'broker', [
    'kind',
    'url',
    'ca',
    'certificate',
    'key',
    'username',
    'password',
  ]);
  check(external['kind'] === 'external', 'GATEWAY_CONFIG', '"broker.kind" is embedded or external');
  const url = text(external['url'], 'broker.url');
  check(/^mqtts:\/\/[^/?#\s]+$/.test(url), 'GATEWAY_CONFIG', '"broker.url" is mqtts://HOST:PORT');
  const file = (field: string): string | null =>
    external[field] === undefined ? null : resolve(folder, text(external[field], field));
  const word = (field: string): string | null =>
    external[field] === undefined ? null : text(external[field], field);
  return {
    kind: 'external',
    url,
    ca: file('ca') ?? fail('GATEWAY_CONFIG', '"broker.ca" is missing'),
    certificate: file('certificate'),
    key: file('key'),
    username: word('username'),
    password: word('password'),
  };
}
