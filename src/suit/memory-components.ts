/** A device whose components are byte strings in memory: for tests and for dry runs. */
import { hash } from '#crypto';
import { concat, hex } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import { componentName } from './component-port.ts';
import type {
  Component,
  ComponentPort,
  ComponentStreams,
  IdentifierKind,
} from './component-port.ts';
import type { WaitEvent } from './wait-info.ts';

export interface MemoryDevice {
  /** By `componentName`; a component that is not here does not exist. Null: it is empty. */
  readonly components: Map<string, Uint8Array | null>;
  /** What can be fetched, by URI. */
  readonly payloads: ReadonlyMap<string, Uint8Array>;
  readonly identifiers: Readonly<Partial<Record<IdentifierKind, readonly Uint8Array[]>>>;
  readonly slot?: number;
  /** Seconds since 1970. */
  readonly now?: bigint;
  /** mWh. */
  readonly battery?: number;
  readonly authorize?: (priority: number) => boolean;
  /** By `componentName`. */
  readonly versions?: ReadonlyMap<string, readonly number[]>;
  /** Kinds of events that are here; without it clock and leave decide. */
  readonly events?: ReadonlySet<WaitEvent['kind']>;
  /** Bytes of a piece of a stream. */
  readonly pieceBytes?: number;
  /** Told every operation that changes or starts something. */
  readonly onOperation?: (operation: string) => void;
}

export function memoryComponents(device: MemoryDevice): ComponentPort {
  const { components, payloads, identifiers, onOperation } = device;
  const held = ({ id }: Component): Uint8Array | undefined =>
    components.get(componentName(id)) ?? undefined;
  const store = ({ id }: Component, bytes: Uint8Array, maxBytes: number): void => {
    check(bytes.length <= maxBytes, 'SUIT_TOO_LARGE', 'more bytes than the manifest allows');
    components.set(componentName(id), bytes);
  };
  const content = (component: Component): Uint8Array =>
    held(component) ?? fail('SUIT_OPERATION_FAILED', 'the source component is empty');
  const done = (operation: string): Promise<void> => {
    onOperation?.(operation);
    return Promise.resolve();
  };
  return {
    has: ({ id }) => Promise.resolve(components.has(componentName(id))),
    identifiers: (_component, kind) => Promise.resolve(identifiers[kind] ?? []),
    slot: () => Promise.resolve(device.slot),
    measure: (component, algorithm) => {
      const bytes = held(component);
      const measured =
        bytes === undefined ? undefined : { digest: hash(algorithm, bytes), size: bytes.length };
      return Promise.resolve(measured);
    },
    read: (component, maxBytes) => Promise.resolve(held(component)?.subarray(0, maxBytes)),
    async fetch(component, { uri, maxBytes }) {
      const payload = payloads.get(uri) ?? fail('SUIT_OPERATION_FAILED', 'nothing at this URI');
      store(component, payload, maxBytes);
      await done(`fetch ${component.index}`);
    },
    async write(component, bytes) {
      store(component, bytes, bytes.length);
      await done(`write ${component.index}`);
    },
    async copy(target, source, maxBytes) {
      store(target, content(source), maxBytes);
      await done(`copy ${target.index} ${source.index}`);
    },
    async swap(target, source) {
      const [a, b] = [content(target), content(source)];
      store(target, b, b.length);
      store(source, a, a.length);
      await done(`swap ${target.index} ${source.index}`);
    },
    invoke: (component, args) =>
      done(`invoke ${component.index}${args === undefined ? '' : ` ${hex(args)}`}`),
    streams: memoryStreams(device, content, store, done),
    ...optional(device, done),
  };
}

function memoryStreams(
  { payloads, pieceBytes = 1 << 16 }: MemoryDevice,
  content: (component: Component) => Uint8Array,
  store: (component: Component, bytes: Uint8Array, maxBytes: number) => void,
  done: (operation: string) => Promise<void>,
): ComponentStreams {
  async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
    for (let at = 0; at < bytes.length; at += pieceBytes)
      yield await Promise.resolve(bytes.subarray(at, at + pieceBytes));
  }
  return {
    contents: (component) => pieces(content(component)),
    open: (_component, { uri }) =>
      pieces(payloads.get(uri) ?? fail('SUIT_OPERATION_FAILED', 'nothing at this URI')),
    async store(component, parts) {
      const held: Uint8Array[] = [];
      for await (const part of parts) held.push(part);
      const bytes = concat(...held);
      store(component, bytes, bytes.length);
      await done(`store ${component.index}`);
    },
  };
}

function optional(
  device: MemoryDevice,
  done: (operation: string) => Promise<void>,
): Partial<ComponentPort> {
  const { now, battery, authorize, versions, events } = device;
  return {
    ...(now === undefined ? {} : { now: () => Promise.resolve(now) }),
    ...(battery === undefined ? {} : { battery: () => Promise.resolve(battery) }),
    ...(authorize === undefined
      ? {}
      : { authorize: (priority: number) => Promise.resolve(authorize(priority)) }),
    ...(versions === undefined
      ? {}
      : {
          version: ({ id }: Component) => Promise.resolve(versions.get(componentName(id))),
        }),
    ...(events === undefined
      ? {}
      : { wait: ({ kind }: WaitEvent) => Promise.resolve(events.has(kind)) }),
    unlink: ({ index }: Component) => done(`unlink ${index}`),
  };
}
