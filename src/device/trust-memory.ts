/** Between what a device keeps on its storage and what `trust/` reasons about. */
import { equal, fromHex, hex } from '../bytes.ts';
import { check } from '../errors.ts';
import type { PreSharedKey } from '../registry/psk.ts';
import { anchoredChain } from '../trust/links.ts';
import type { Confirmed, Provision, TrustState } from '../trust/state.ts';
import type { Provisioning } from './provision.ts';
import type { Slots } from './slots.ts';
import { withConfirmed, withProof, type DeviceState, type DeviceStateFile } from './state.ts';

/** `psk`: the key that the provisioning names, when it names one. Errors: DEVICE_PROVISIONING_INVALID. */
export function provisionOf(provisioning: Provisioning, psk: PreSharedKey | undefined): Provision {
  // T07: a device that was made with a PSK never goes without it.
  const named = provisioning.psk?.keyId;
  const fits = named && psk ? equal(named, psk.keyId) : named === psk;
  check(fits, 'DEVICE_PROVISIONING_INVALID', 'the PSK is not the one that is provisioned');
  return {
    root: provisioning.root,
    lines: provisioning.lines.map(({ line, anchor }) => ({ line, anchor, ...(psk && { psk }) })),
    staleInstall: provisioning.staleInstall,
  };
}

export function trustStateOf(provisioning: Provisioning, state: DeviceState): TrustState {
  return {
    head: state.head && { size: state.head.size, root: fromHex(state.head.root) },
    floor: state.floor,
    chains: provisioning.lines.map(
      ({ text, anchor }) => state.lines.get(text)?.chain ?? anchoredChain(anchor),
    ),
    lowest: provisioning.lines.map(({ text }) => state.lines.get(text)?.lowest ?? 0n),
    confirmed: confirmedOf(state),
  };
}

/** The release confirmed last on this device: sequences of all its tracks share one order. */
export function confirmedOf(state: DeviceState): Confirmed | null {
  let last: Confirmed | null = null;
  for (const { confirmed } of state.lines.values()) {
    if (confirmed && (!last || confirmed.sequence > last.sequence))
      last = { sequence: confirmed.sequence, digest: fromHex(confirmed.digest) };
  }
  return last;
}

/** The device's state once a proof of its line at `position` was accepted. */
export function remember(
  provisioning: Provisioning,
  state: DeviceState,
  position: number,
  accepted: TrustState,
): DeviceState {
  const line = provisioning.lines[position]?.text;
  if (!accepted.head || line === undefined) return state;
  return withProof(state, {
    head: { size: accepted.head.size, root: hex(accepted.head.root) },
    floor: accepted.floor,
    line,
    lowest: accepted.lowest[position] ?? 0n,
    chain: accepted.chains[position] ?? null,
  });
}

/** What boots now was confirmed (T17). Power may have gone between a trial's confirm and this. Errors: DEVICE_STORAGE_*. */
export async function rememberConfirmed(slots: Slots, state: DeviceStateFile): Promise<void> {
  const { active } = slots.state;
  const image = active && slots.state.slots[active];
  if (!image?.confirmed) return;
  const { line, sequence, digest } = image;
  await state.update((before) => withConfirmed(before, line, { sequence, digest }));
}
