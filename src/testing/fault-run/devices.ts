/** Devices that ask all the time, and believe nothing but what trust/ accepts (T17). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '#crypto';
import { hex } from '../../bytes.ts';
import { encodeKey } from '../../cose/key.ts';
import { openDevice, provisionDevice, type Device } from '../../device/device.ts';
import type { FaultNetwork } from './network.ts';
import type { Publisher } from './publisher.ts';
import type { Violations } from './violations.ts';

const PACE_MS = 700;
const now = (): number => Math.floor(Date.now() / 1000);

export interface DeviceCounts {
  rounds: number;
  installed: number;
  stale: number;
  /** By code, why nothing was accepted in a round. */
  readonly refused: Map<string, number>;
  /** By code, what single nodes gave that was refused. */
  readonly lies: Map<string, number>;
}

export class Devices {
  readonly counts: DeviceCounts = {
    rounds: 0,
    installed: 0,
    stale: 0,
    refused: new Map(),
    lies: new Map(),
  };
  /** The newest sequence that each runs. */
  readonly running = new Map<string, bigint>();
  readonly #network: FaultNetwork;
  readonly #publisher: Publisher;
  readonly #violations: Violations;

  constructor(network: FaultNetwork, publisher: Publisher, violations: Violations) {
    this.#network = network;
    this.#publisher = publisher;
    this.#violations = violations;
  }

  /** One device; goes on until the signal is aborted. `onlyNodes`: it asks no others. Never rejects. */
  async run(name: string, signal: AbortSignal, onlyNodes?: readonly string[]): Promise<void> {
    const folder = join(this.#network.folder, name);
    const { line, anchor } = this.#publisher;
    provisionDevice(folder, {
      name,
      model: 'lamp',
      vendorId: line.vendor,
      classId: line.class,
      lines: [{ anchor: encodeKey(anchor), track: line.track }],
      root: this.#network.root.bytes,
      floor: now(),
      staleInstall: 'consent',
      slots: 'ab',
    });
    try {
      await using device = await openDevice(folder, {
        clock: now,
        ...(onlyNodes && { onlyNodes }),
        onAgentEvent: (event) => {
          if (event.type === 'refused' || event.type === 'liar')
            count(this.counts.lies, event.code);
        },
      });
      while (!signal.aborted) {
        await this.#round(name, device);
        await sleep(PACE_MS, undefined, { signal }).catch(() => undefined);
      }
    } catch (error) {
      this.#violations.add(`${name} failed: ${String(error)}`);
    }
  }

  async #round(name: string, device: Device): Promise<void> {
    const { counts } = this;
    const { outcome, freshness = '', version = '', code } = await device.agent.poll();
    counts.rounds++;
    if (freshness.startsWith('stale')) counts.stale++;
    if (outcome === 'refused') count(counts.refused, code ?? '');
    this.#violations.check(outcome !== 'rolled-back', `${name} rolled back ${version}`);
    if (outcome !== 'installed') return;
    counts.installed++;
    this.#judge(name, device, version);
  }

  // Whatever the nodes said: what it runs now is a release of its author's, whole, and newer than the one before.
  #judge(name: string, { slots }: Device, version: string): void {
    const release = this.#publisher.releases.get(version);
    if (!release) return this.#violations.add(`${name} installed ${version}, which is nobody's`);
    const before = this.running.get(name) ?? 0n;
    this.#violations.check(
      release.sequence > before,
      `${name} went from ${before} back to ${release.sequence}`,
    );
    this.running.set(name, release.sequence);
    const { active } = slots.state;
    const file = join(this.#network.folder, name, 'slots', `${active}.cjs`);
    this.#violations.check(
      hex(sha256(new Uint8Array(readFileSync(file)))) === release.sha256,
      `${name} has another image than that of ${version}`,
    );
  }
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}
