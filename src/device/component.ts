/** The device's one component, as the SUIT interpreter acts on it: the inactive slot, until it is invoked. */
import { createHash } from '#crypto';
import { equal } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { check, fail } from '../errors.ts';
import type { Component, ComponentPort, FetchRequest } from '../suit/component-port.ts';
import type { Files } from '../reader/files.ts';

export interface FirmwareComponent {
  readonly vendorId: Uint8Array;
  readonly classId: Uint8Array;
  readonly files: Files;
  /** The file of the inactive slot. */
  readonly file: () => string;
  readonly fetch: (request: FetchRequest) => Promise<void>;
  readonly invoke: () => Promise<void>;
  /** The clock that use-before and wait are judged by; without it both are refused. */
  readonly clock?: Clock | undefined;
  /** Of the firmware that runs now, as its release states it. */
  readonly version?: string | undefined;
}

/** The component's identifier: one part, one byte 00, as the standard's examples have it. */
export const FIRMWARE: readonly Uint8Array[] = [Uint8Array.of(0)];
const CHUNK = 256 * 1024;

export function firmwarePort(firmware: FirmwareComponent): ComponentPort {
  const unsupported = (): never =>
    fail('DEVICE_OPERATION_UNSUPPORTED', 'this device fetches its firmware and nothing else');
  return {
    has: async ({ id }: Component) =>
      id.length === 1 && equal(id[0] as Uint8Array, FIRMWARE[0] as Uint8Array),
    identifiers: async (_component, kind) =>
      kind === 'vendor' ? [firmware.vendorId] : kind === 'class' ? [firmware.classId] : [],
    // The bootloader picks the slot; a manifest that wants to pick one itself finds the first.
    slot: async () => 0,
    async measure(_component, algorithm) {
      const { files } = firmware;
      const size = await files.size(firmware.file());
      if (size === undefined) return undefined;
      const hash = createHash(algorithm);
      for (let at = 0; at < size; at += CHUNK) {
        hash.update(await files.read(firmware.file(), at, Math.min(CHUNK, size - at)));
      }
      return { digest: hash.digest(), size };
    },
    read: (_component, maxBytes) => firmware.files.read(firmware.file(), 0, maxBytes),
    async fetch(_component, request) {
      check(
        request.size !== undefined && request.digest !== undefined,
        'DEVICE_OPERATION_UNSUPPORTED',
        'a fetch needs the image-digest and image-size before it',
      );
      await firmware.fetch(request);
    },
    write: unsupported,
    copy: unsupported,
    swap: unsupported,
    invoke: () => firmware.invoke(),
    ...(firmware.clock === undefined ? {} : { now: async () => BigInt(firmware.clock?.() ?? 0) }),
    version: async () => versionParts(firmware.version),
  };
}

/** A version of numbers and dots as SUIT compares it; undefined for any other text. */
function versionParts(version: string | undefined): readonly number[] | undefined {
  if (version === undefined || !/^\d{1,9}(\.\d{1,9}){0,7}$/.test(version)) return undefined;
  return version.split('.').map(Number);
}
