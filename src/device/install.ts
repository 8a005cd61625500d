/** Installing one accepted release: the manifest's own sequences, over the inactive slot, up to a decided trial. */
import { equal, hex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { check, fail, FirmamentError, type Code } from '../errors.ts';
import { lineText, type Line } from '../registry/line.ts';
import { processManifest } from '../suit/process.ts';
import type { ReportEntry } from '../suit/record.ts';
import { failureOf, type Failure } from '../suit/report.ts';
import type { VerifiedRelease } from '../trust/release.ts';
import type { Bootloader } from './bootloader.ts';
import { firmwarePort } from './component.ts';
import { isStorageError } from '../reader/files.ts';
import { downloadImage } from '../reader/download.ts';
import type { NodeAccess } from '../reader/nodes.ts';
import type { Provisioning } from './provision.ts';
import type { SlotImage } from './slot-state.ts';
import type { Slots } from './slots.ts';

export interface InstallOptions {
  readonly release: VerifiedRelease;
  readonly line: Line;
  readonly provisioning: Provisioning;
  readonly slots: Slots;
  readonly bootloader: Bootloader;
  readonly nodes: readonly NodeAccess[];
  readonly retry: boolean;
  readonly onStart: (bytes: number) => void;
  readonly onProgress: (done: number, total: number, source: string) => void;
  readonly onLiar: (node: string) => void;
  /** For manifests that ask for the time (use-before, wait); they are refused without it. */
  readonly clock?: Clock;
}

const AGAIN: readonly Code[] = ['DEVICE_DOWNLOAD_FAILED', 'DEVICE_CANCELLED', 'SUIT_WAITING'];

export interface InstallOutcome {
  readonly records: readonly ReportEntry[];
  readonly result: true | Failure;
  readonly failure: FirmamentError | undefined;
  readonly opaque: boolean;
}

/**
 * Runs payload-fetch and install into the inactive slot, validates what is there, and invokes it: the
 * bootloader's trial decides. What a manifest or image is refused for is in the outcome, for the report.
 * Errors: only those that leave nothing to report (DEVICE_DOWNLOAD_FAILED, DEVICE_TRIAL_FAILED_BEFORE, ...).
 */
export async function install(options: InstallOptions): Promise<InstallOutcome> {
  const { release, slots, bootloader, provisioning } = options;
  const image = imageOf(options);
  const file = await slots.begin(image, { retry: options.retry });
  options.onStart(image.size);
  const records: ReportEntry[] = [];
  const port = firmwarePort({
    vendorId: provisioning.vendorId,
    classId: provisioning.classId,
    files: slots.files,
    file: () => file,
    fetch: () => download(options, image, file),
    async invoke() {
      await slots.complete();
      await bootloader.reboot();
    },
    clock: options.clock,
    version: activeVersion(slots),
  });
  try {
    await processManifest(release.envelope, {
      sections: [
        'dependency-resolution',
        'payload-fetch',
        'candidate-verification',
        'install',
        'validate',
        'load',
        'invoke',
      ],
      port,
      limits: { imageBytes: image.size },
      onRecord: (entry) => void records.push(entry),
    });
    // A manifest need not say invoke: what was installed is what boots next.
    if (slots.state.incoming) {
      await slots.complete();
      await bootloader.reboot();
    }
    const { active, trial } = slots.state;
    if (bootloader.postponed) throw bootloader.postponed;
    check(trial === null, 'DEVICE_CANCELLED', 'the device was told to stop during a trial');
    const booted = active && slots.state.slots[active]?.digest === image.digest;
    check(booted === true, 'DEVICE_TRIAL_FAILED');
    return {
      records,
      result: true,
      failure: undefined,
      opaque: bootloader.status.kind === 'opaque',
    };
  } catch (error) {
    if (!(error instanceof FirmamentError)) throw error;
    // What came to nothing, and is no verdict, is tried again: what is on the storage stays.
    if (AGAIN.includes(error.code) || isStorageError(error)) throw error;
    return { records, result: failureOf(error), failure: error, opaque: false };
  }
}

function activeVersion({ state }: Slots): string | undefined {
  return state.active ? state.slots[state.active]?.version : undefined;
}

// The one image that this device takes from the manifest, as its shared sequence names it.
function imageOf({ release, line }: InstallOptions): SlotImage {
  const { manifest } = release.envelope;
  const own = manifest.images.filter(({ componentIndex }) => componentIndex === 0);
  const [image] = own;
  check(
    image !== undefined &&
      image.algorithm === 'SHA-256' &&
      own.every(({ digest }) => equal(digest, image.digest)),
    'DEVICE_OPERATION_UNSUPPORTED',
    'a manifest with one image of a SHA-256 digest is what this device installs',
  );
  return {
    digest: hex(release.digest),
    line: lineText(line),
    sequence: release.sequence,
    version: release.claims.version,
    sha256: hex(image.digest),
    size: image.size ?? fail('DEVICE_OPERATION_UNSUPPORTED', 'the manifest names no image-size'),
  };
}

// Every holder that the device knows; the digest decides. The manifest's ipfs: URI is resolved over them.
async function download(options: InstallOptions, image: SlotImage, file: string): Promise<void> {
  const { slots, nodes, onProgress, onLiar } = options;
  const sha256 = Uint8Array.fromHex(image.sha256);
  const { liars } = await downloadImage({
    files: slots.files,
    file,
    size: image.size,
    sha256: image.sha256,
    sources: nodes.map((node) => node.image(sha256)),
    onProgress: (done, source) => onProgress(done, image.size, source),
  });
  for (const liar of liars) onLiar(liar);
}
