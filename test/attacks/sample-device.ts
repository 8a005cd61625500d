/** A whole device over simulated storage, and nodes that answer it as a test says. */
import { randomBytes } from 'node:crypto';
import type { ChallengeReply } from '../../src/api/challenge.ts';
import { concat, hex, utf8 } from '../../src/bytes.ts';
import { Agent, type AgentEvent, type PollResult } from '../../src/device/agent.ts';
import { startBootloader, type Bootloader } from '../../src/device/bootloader.ts';
import type { Order } from '../../src/device/order.ts';
import type { NodeAccess } from '../../src/reader/nodes.ts';
import type { Provisioning } from '../../src/device/provision.ts';
import { SimulatedDisk } from '../../src/device/simulated-disk.ts';
import { openPinnedRoot } from '../../src/device/root-record.ts';
import type { PinnedRoot } from '../../src/reader/follow-policies.ts';
import { openSlots, type Slots } from '../../src/device/slots.ts';
import { openDeviceState, type DeviceStateFile } from '../../src/device/state.ts';
import { FirmamentError } from '../../src/errors.ts';
import type { ClockName } from '../../src/trust/freshness.ts';
import { lineText, type Line } from '../../src/registry/line.ts';
import {
  CLASS,
  VENDOR,
  type SampleAuthor,
  type SampleLedger,
  type SampleRelease,
} from './sample-ledger.ts';
import { sampleKey } from './sample-policy.ts';
import { envelopeOf, NOW, proveLine, type ProofOptions } from './sample-proof.ts';

/** What a node answers; each may throw. */
export interface SampleAnswers {
  readonly latest: (line: Line) => Uint8Array;
  /** policy.change statements from a version on; none unless given. */
  readonly policies?: (from: number) => readonly Uint8Array[];
  /** Answers to a challenge; it can't be asked unless given. */
  readonly challenge?: (hash: Uint8Array) => ChallengeReply;
  readonly release: (digest: Uint8Array) => Uint8Array;
  readonly image: (sha256: Uint8Array) => Uint8Array;
}

/** How its maker made it. */
export interface SampleMaking {
  readonly staleInstall?: Provisioning['staleInstall'];
  /** Lines of the author, in order; its one line unless said otherwise. */
  readonly lines?: readonly Line[];
}

export class SampleDevice {
  readonly disk: SimulatedDisk;
  readonly events: AgentEvent[] = [];
  /** Signed reports that it sent. */
  readonly reports: Uint8Array[] = [];
  readonly slots: Slots;
  readonly state: DeviceStateFile;
  readonly bootloader: Bootloader;
  readonly #provisioning: Provisioning;
  readonly root: PinnedRoot;
  #clock = NOW;
  key = sampleKey('device');
  /** Whose clock that is. */
  clockName: ClockName = 'own clock';
  /** Milliseconds of the clock that never jumps; pauses move it. */
  steady = 0;
  /** Whether who is challenged brings the answers of many. */
  relayed = true;
  /** Of the owner, to the next rounds. */
  consent = false;
  retry = false;

  private constructor(
    disk: SimulatedDisk,
    provisioning: Provisioning,
    parts: { slots: Slots; state: DeviceStateFile; bootloader: Bootloader; root: PinnedRoot },
  ) {
    this.disk = disk;
    this.#provisioning = provisioning;
    this.slots = parts.slots;
    this.state = parts.state;
    this.bootloader = parts.bootloader;
    this.root = parts.root;
  }

  /** Made for the author's line and booted; on a disk of its own, or on one that it had before. */
  static async boot(
    ledger: SampleLedger,
    author: SampleAuthor,
    disk = new SimulatedDisk(),
    made: SampleMaking = {},
  ): Promise<SampleDevice> {
    const { key } = author;
    const lines = made.lines ?? [author.line];
    const provisioning: Provisioning = {
      name: 'device',
      model: 'model',
      vendorId: VENDOR,
      classId: CLASS,
      lines: lines.map((line) => ({ line, text: lineText(line), anchor: key.publicKey })),
      root: ledger.root,
      floor: 0,
      staleInstall: made.staleInstall ?? 'never',
      keyFile: 'device.key',
    };
    const state = await openDeviceState({ directory: 'state', floor: 0, files: disk });
    const root = await openPinnedRoot({
      directory: 'state',
      provisioned: ledger.root,
      files: disk,
    });
    const slots = await openSlots({ directory: 'slots', files: disk });
    const bootloader = await startBootloader({
      slots,
      run: async () => {
        throw new FirmamentError('DEVICE_FIRMWARE_SILENT', 'sample images are not run');
      },
      lowestOf: (text) => state.state.lines.get(text)?.lowest,
    });
    return new SampleDevice(disk, provisioning, { slots, state, bootloader, root });
  }

  /** Moves its clock; POSIX seconds. */
  set clock(now: number) {
    this.#clock = now;
  }

  /** One round over these nodes, in their order. */
  poll(...nodes: readonly SampleAnswers[]): Promise<PollResult> {
    return this.obey(undefined, ...nodes);
  }

  /** One round about what a gateway ordered. */
  obey(order: Order | undefined, ...nodes: readonly SampleAnswers[]): Promise<PollResult> {
    const agent = new Agent({
      provisioning: this.#provisioning,
      state: this.state,
      slots: this.slots,
      bootloader: this.bootloader,
      root: this.root,
      nodes: () => nodes.map((answers, i) => access(`node/${i}`, answers, this.reports)),
      challenges: {
        challenged: () =>
          nodes.flatMap(({ challenge, ...rest }, i) =>
            challenge
              ? [
                  {
                    ...access(`node/${i}`, rest, this.reports),
                    challenge: async (hash: Uint8Array) => challenge(hash),
                  },
                ]
              : [],
          ),
        relayed: this.relayed,
        random: (length) => new Uint8Array(randomBytes(length)),
        pause: async (ms) => void (this.steady += ms),
        steady: () => this.steady,
      },
      key: this.key,
      clock: () => this.#clock,
      clockName: () => this.clockName,
      consent: this.consent,
      retry: this.retry,
      onEvent: (event) => void this.events.push(event),
    });
    return agent.poll(order);
  }

  /** Digest of the release that boots, in hex. */
  get runs(): string | undefined {
    const { status } = this.bootloader;
    return 'image' in status ? status.image.digest : undefined;
  }
}

function access(name: string, answers: SampleAnswers, reports: Uint8Array[]): NodeAccess {
  return {
    name,
    latest: async (line) => answers.latest(line),
    policies: async (from) => answers.policies?.(from) ?? [],
    release: async (_line, digest) => answers.release(digest),
    image: (sha256) => ({
      name,
      async *read(offset, length) {
        yield answers.image(sha256).subarray(offset, offset + length);
      },
    }),
    report: async (bytes) => void reports.push(bytes),
  };
}

/** A node that answers from the ledger as it is now, and has the images of these releases. */
export function honestNode(
  ledger: SampleLedger,
  author: SampleAuthor,
  releases: readonly SampleRelease[],
  options: ProofOptions = {},
): SampleAnswers {
  const proof = proveLine(ledger, author.line, options);
  return {
    latest: () => proof,
    release(digest) {
      const found = releases.find((release) => hex(release.digest) === hex(digest));
      if (!found) throw new FirmamentError('RELEASE_UNKNOWN');
      return envelopeOf(found);
    },
    image(sha256) {
      const at = releases.findIndex((release) => hex(release.image) === hex(sha256));
      if (at === -1) throw new FirmamentError('ANCHOR_UNKNOWN');
      return imageOf((releases[at] as SampleRelease).statement.counter);
    },
  };
}

/** The image that the sample release of this sequence names. */
export function imageOf(sequence: bigint): Uint8Array {
  return concat(utf8(`image ${sequence}`));
}

/** Registered, anchored and held by enough operators. */
export function availableRelease(
  ledger: SampleLedger,
  author: SampleAuthor,
  sequence: bigint,
): SampleRelease {
  const release = ledger.publish(author, sequence);
  for (const operator of ['o1', 'o2']) ledger.apply(ledger.hold(operator, author, release));
  return release;
}
