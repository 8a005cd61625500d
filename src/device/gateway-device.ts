/** A full device behind its gateway: it takes the gateway's offers and checks everything for itself, as from any node. */
import { fromHex } from '../bytes.ts';
import type { Offer } from '../api/downlink.ts';
import { codeOf, type Code } from '../errors.ts';
import type { AgentEvent, PollResult } from './agent.ts';
import { openDevice, type Device, type DeviceOptions, type GatewayWay } from './device.ts';
import type { Enrolment } from './enrolment.ts';
import { OfferFollower, type OfferOptions, type Running, type Verdict } from './offers.ts';
import { provisionedLine } from './provision.ts';
import { askSntp } from './sntp-client.ts';

export interface GatewayDeviceOptions {
  readonly enrolment: Enrolment;
  readonly device: Omit<DeviceOptions, 'gateway' | 'archives' | 'onlyNodes'>;
  readonly offers: Omit<OfferOptions, 'enrolment' | 'running' | 'install' | 'onTime'>;
  /** Whether the device has no clock of its own that keeps time. */
  readonly gatewayTime?: GatewayWay['time'];
  /** Asked for the time at each connect; the gateway's port 123 unless said otherwise, null: nobody. */
  readonly sntp?: { readonly host: string; readonly port: number } | null;
}

export interface GatewayDevice extends AsyncDisposable {
  readonly device: Device;
  readonly offers: OfferFollower;
}

type Tell = Parameters<OfferOptions['install']>[1];

// What may be otherwise the next time: the offer stands until then.
const LATER =
  /^(?:NET_|NODE_|DEVICE_(?:NO_NODE|DOWNLOAD_FAILED|CANCELLED|STORAGE_FULL|STORAGE_IO|CONSENT_NEEDED|TRIAL_RUNNING)$|TRUST_STALE$)/;

const SNTP_PORT = 123;

/** Boots the device in `folder` and follows its gateway's offers. Errors: those of `openDevice`. */
export async function openGatewayDevice(
  folder: string,
  options: GatewayDeviceOptions,
): Promise<GatewayDevice> {
  await using cleanup = new AsyncDisposableStack();
  const { enrolment } = options;
  let tell: Tell | undefined;
  const reports: Uint8Array[] = [];
  const device = cleanup.use(
    await openDevice(folder, {
      ...options.device,
      gateway: {
        enrolment,
        time: options.gatewayTime ?? 'when lost',
        report: (bytes) => void reports.push(bytes),
      },
      onAgentEvent(event) {
        progress(event, tell);
        options.device.onAgentEvent?.(event);
      },
    }),
  );
  const install = async (offer: Offer, told: Tell): Promise<Verdict> => {
    tell = told;
    reports.length = 0;
    try {
      provisionedLine(device.provisioning, offer.line);
      const order = { digest: fromHex(offer.digest), nonce: fromHex(offer.nonce) };
      const verdict = verdictOf(await device.agent.poll(order));
      // Without a key that the gateway knows a report proves nothing to it.
      const signed = enrolment.credential.tier === 'certificate' ? reports.at(-1) : undefined;
      return { ...verdict, ...(signed && { report: signed }) };
    } catch (error) {
      const code = codeOf(error);
      if (!code) throw error;
      return refused(code);
    } finally {
      tell = undefined;
    }
  };
  const synchronise = synchroniser(device, options);
  cleanup.use(synchronise);
  const offers = cleanup.use(
    new OfferFollower({
      ...options.offers,
      enrolment,
      running: () => runningOn(device),
      install,
      onTime: device.clock.hear,
      onEvent(event) {
        if (event.type === 'gateway-connected') synchronise.ask();
        options.offers.onEvent?.(event);
      },
    }),
  );
  const owned = cleanup.move();
  return { device, offers, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** One question at a time, and none after the end. That no answer comes is no fault: not every gateway has the port open. */
function synchroniser(
  { clock }: Device,
  { enrolment, sntp }: GatewayDeviceOptions,
): AsyncDisposable & { ask(): void } {
  const host = enrolment.https.replace(/:\d+$/, '');
  const server = sntp === undefined ? { host, port: SNTP_PORT } : sntp;
  const end = new AbortController();
  let asking: Promise<void> | undefined;
  const ask = async (question: NonNullable<typeof server>): Promise<void> => {
    try {
      clock.hearSntp(await askSntp({ ...question, signal: end.signal }));
    } catch (error) {
      if (!codeOf(error)) throw error;
    }
  };
  return {
    ask() {
      if (server) asking ??= ask(server).finally(() => (asking = undefined));
    },
    async [Symbol.asyncDispose]() {
      end.abort();
      await asking;
    },
  };
}

function progress(event: AgentEvent, tell: Tell | undefined): void {
  if (event.type !== 'progress') return;
  const { done, total } = event;
  tell?.(done < total ? 'downloading' : 'installing', done, total);
}

function runningOn({ slots }: Device): Running {
  const { active } = slots.state;
  const image = active && slots.state.slots[active];
  if (!image) return { digest: '', sequence: '0', version: '', sha256: '' };
  const { digest, sequence, version, sha256 } = image;
  return { digest, sequence: String(sequence), version, sha256 };
}

function verdictOf({ outcome, code }: PollResult): Verdict {
  if (outcome === 'installed' || outcome === 'up-to-date')
    return { state: 'installed', detail: '' };
  if (outcome === 'rolled-back')
    return { state: 'rolled-back', detail: code ?? 'DEVICE_TRIAL_FAILED' };
  return refused(code ?? 'DEVICE_NO_NODE');
}

function refused(code: Code): Verdict {
  // The trial's end was not told before the power went.
  if (code === 'DEVICE_TRIAL_FAILED_BEFORE') return { state: 'rolled-back', detail: code };
  return { state: LATER.test(code) ? 'postponed' : 'refused', detail: code };
}
