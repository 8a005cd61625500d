/** A device whose components are byte strings in memory: for tests and for dry runs. */
import { hash } from '#crypto';
import { check, fail } from '../errors.ts';
import { componentName } from './component-port.ts';
import type { Component, ComponentPort, IdentifierKind } from './component-port.ts';

export interface MemoryDevice {
  /** By `componentName`; a component that is not here does not exist. Null: it is empty. */
  readonly components: Map<string, Uint8Array | null>;
  /** What can be fetched, by URI. */
  readonly payloads: ReadonlyMap<string, Uint8Array>;
  readonly identifiers: Readonly<Partial<Record<IdentifierKind, readonly Uint8Array[]>>>;
  readonly slot?: number;
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
    invoke: (component) => done(`invoke ${component.index}`),
  };
}
