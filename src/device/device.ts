/** One device, put together from its folder: provisioning, key, state, slots, bootloader, agent. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { privateKey } from '#crypto';
import type { Clock } from '../clock.ts';
import { decodeMacKey, decodePrivateKey, encodeMacKey, encodePrivateKey } from '../cose/key.ts';
import { hex } from '../bytes.ts';
import { check } from '../errors.ts';
import { certificateSha256 } from '../net/authority.ts';
import { createClient, type Client } from '../net/client.ts';
import { nodesOf } from '../registry/policy.ts';
import { preSharedKey, type PreSharedKey } from '../registry/psk.ts';
import { openArchive } from '../store/archive.ts';
import { Agent, type AgentEvent } from './agent.ts';
import { startBootloader, type BootEvent, type Bootloader } from './bootloader.ts';
import { diskFiles, isStorageError, type Files } from '../reader/files.ts';
import { nodeRunner } from './firmware-process.ts';
import { archiveNode } from './archive-node.ts';
import {
  cosigningNodes,
  nodeAccess,
  retrievalNodes,
  type Challenged,
  type NodeAccess,
} from '../reader/nodes.ts';
import type { Enrolment } from './enrolment.ts';
import { deviceClock, type DeviceClock } from './gateway-clock.ts';
import { lockDevice } from './lock.ts';
import { encodeProvisioning, parseProvisioning, type Provisioning } from './provision.ts';
import type { PinnedRoot } from '../reader/follow-policies.ts';
import { openPinnedRoot } from './root-record.ts';
import { openSlots, type Slots } from './slots.ts';
import { openDeviceState, type DeviceStateFile } from './state.ts';
import { provisionOf, rememberConfirmed } from './trust-memory.ts';

export interface DeviceOptions {
  readonly clock: Clock;
  readonly consent?: boolean;
  readonly retry?: boolean;
  /** Names of the nodes to ask; all retrieval nodes of the root otherwise. */
  readonly onlyNodes?: readonly string[];
  /** Archive files that are asked instead of nodes: the device stays off the network. */
  readonly archives?: readonly string[];
  /** The gateway that is asked instead of nodes, and that hears the reports. */
  readonly gateway?: GatewayWay;
  /** Its storage; the disk unless said otherwise. */
  readonly files?: Files;
  readonly onAgentEvent?: (event: AgentEvent) => void;
  readonly onBootEvent?: (event: BootEvent) => void;
}

/** How a device behind a gateway gets at it. */
export interface GatewayWay {
  readonly enrolment: Enrolment;
  /** The gateway's time may stand in for the device's own: `always`, or only while that is below the floor. */
  readonly time: 'always' | 'when lost';
  /** Takes a signed report. */
  readonly report: (bytes: Uint8Array) => void;
}

export interface Device extends AsyncDisposable {
  readonly provisioning: Provisioning;
  readonly slots: Slots;
  readonly state: DeviceStateFile;
  readonly bootloader: Bootloader;
  readonly root: PinnedRoot;
  readonly agent: Agent;
  readonly clock: DeviceClock;
}

const PROVISIONING = 'provisioning.json';
const MAX_FILE = 4 << 20;

/**
 * Opens and boots the device in `directory` (provisioning.json, its key, state/, slots/).
 * Errors: DEVICE_LOCKED, DEVICE_PROVISIONING_INVALID, DEVICE_STATE_CORRUPT, COSE_KEY_INVALID; of archives: STORE_CAR_MALFORMED, STORE_ARCHIVE_*,
 * STORE_DIGEST_MISMATCH.
 */
export async function openDevice(directory: string, options: DeviceOptions): Promise<Device> {
  await using cleanup = new AsyncDisposableStack();
  const file = join(directory, PROVISIONING);
  const provisioning = parseProvisioning(readBounded(file));
  cleanup.use(lockDevice(directory));
  const key = decodePrivateKey(readBounded(resolve(dirname(file), provisioning.keyFile)));
  const psk = provisioning.psk && readPsk(resolve(dirname(file), provisioning.psk.keyFile));
  // A PSK that is not the provisioned one is said before anything boots.
  provisionOf(provisioning, psk);
  const { files = diskFiles } = options;
  const state = await openDeviceState({
    directory: join(directory, 'state'),
    floor: provisioning.floor,
    files,
  });
  const slots = await openSlots({
    directory: join(directory, 'slots'),
    files,
    ...(provisioning.slots && { layout: provisioning.slots }),
  });
  const bootloader = cleanup.use(
    await startBootloader({
      slots,
      run: nodeRunner(process.execPath),
      lowestOf: (line) => state.state.lines.get(line)?.lowest,
      ...(options.onBootEvent && { onEvent: options.onBootEvent }),
    }),
  );
  // A storage that is full does not keep the device from running; each round remembers it again.
  await rememberConfirmed(slots, state).catch((error: unknown) => {
    if (!isStorageError(error)) throw error;
  });
  const pinned = await openPinnedRoot({
    directory: join(directory, 'state'),
    provisioned: provisioning.root,
    files,
  });
  const { gateway } = options;
  const client = cleanup.use(
    createClient({
      pins: gateway
        ? { root: certificateSha256(gateway.enrolment.rootPem) }
        : (origin) =>
            nodesOf(pinned.root.policy).find(({ node }) => new URL(node.url).origin === origin)
              ?.node.spki,
    }),
  );
  // A device without a clock is in 1970 for good: nothing is fresh by that.
  const clockless = provisioning.clock === 'none';
  const steady = (): number => performance.now();
  const clock = deviceClock({
    own: clockless ? () => 0 : options.clock,
    floor: () => state.state.floor,
    steady,
    always: clockless || gateway?.time === 'always',
  });
  const archived = options.archives && (await archiveNodes(options.archives, cleanup));
  const behind = gateway && gatewayNode(gateway, client, provisioning);
  const { name } = provisioning;
  const { onlyNodes } = options;
  const agent = new Agent({
    provisioning,
    state,
    slots,
    bootloader,
    root: pinned,
    nodes: (root) =>
      archived ?? (behind ? [behind] : retrievalNodes(root, client, name, onlyNodes)),
    challenges: archived
      ? undefined
      : {
          challenged: (root) => (behind ? [behind] : cosigningNodes(root, client, name, onlyNodes)),
          relayed: behind !== undefined,
          random: (length) => new Uint8Array(randomBytes(length)),
          pause: (ms) => sleep(ms),
          steady,
        },
    key:
      gateway?.enrolment.credential.tier === 'certificate' ? gateway.enrolment.credential.key : key,
    psk,
    clock: clock.now,
    clockName: clock.name,
    consent: options.consent ?? false,
    retry: options.retry ?? false,
    ...(options.onAgentEvent && { onEvent: options.onAgentEvent }),
  });
  const owned = cleanup.move();
  return {
    provisioning,
    slots,
    state,
    bootloader,
    root: pinned,
    agent,
    clock,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

// Reports to it are messages, signed by the key that it enrolled (T25).
function gatewayNode(
  { enrolment, report }: GatewayWay,
  client: Client,
  { name, root }: Provisioning,
): Challenged {
  const url = `https://${enrolment.https}`;
  const network = hex(root.networkId);
  return {
    ...nodeAccess({ name: 'gateway', url, network }, client, name),
    report: async (bytes) => report(bytes),
  };
}

async function archiveNodes(
  files: readonly string[],
  cleanup: AsyncDisposableStack,
): Promise<readonly NodeAccess[]> {
  const nodes: NodeAccess[] = [];
  for (const file of files) nodes.push(archiveNode(cleanup.use(await openArchive(file)), file));
  return nodes;
}

function readPsk(path: string): PreSharedKey {
  return preSharedKey(decodeMacKey(readBounded(path)));
}

function readBounded(path: string): Uint8Array {
  const bytes = new Uint8Array(readFileSync(path));
  check(bytes.length <= MAX_FILE, 'DEVICE_PROVISIONING_INVALID', `${path} is too large`);
  return bytes;
}

/** The model that the maker of the device in `directory` gave it. Errors: DEVICE_PROVISIONING_INVALID. */
export function modelOf(directory: string): string {
  return parseProvisioning(readBounded(join(directory, PROVISIONING))).model;
}

/** Makes a device's folder, as its maker does. Refuses to touch one that is there. Errors: DEVICE_PROVISIONING_INVALID. */
export function provisionDevice(
  directory: string,
  input: Omit<Parameters<typeof encodeProvisioning>[0], 'keyFile' | 'psk'>,
  psk?: PreSharedKey,
): void {
  check(
    !existsSync(join(directory, PROVISIONING)),
    'DEVICE_PROVISIONING_INVALID',
    'the folder is a device already',
  );
  const shared = psk && { psk: { keyId: psk.keyId, keyFile: 'psk.key' } };
  const bytes = encodeProvisioning({ ...input, keyFile: 'device.key', ...shared });
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const key = privateKey('Ed25519', new Uint8Array(randomBytes(32)));
  writeFileSync(join(directory, 'device.key'), encodePrivateKey(key), { mode: 0o600 });
  if (psk)
    writeFileSync(join(directory, 'psk.key'), encodeMacKey(psk.key, psk.keyId), { mode: 0o600 });
  writeFileSync(join(directory, PROVISIONING), bytes);
}
