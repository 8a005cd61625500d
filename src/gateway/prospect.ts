/** What the followed lines hold for a device: the release that it could have, by T16 and by its hardware. */
import { fromHex, hex } from '../bytes.ts';
import { lineText } from '../registry/line.ts';
import type { JudgedLine } from '../trust/accept.ts';
import { freshnessText } from '../trust/freshness.ts';
import { offerOf } from '../trust/offer.ts';
import type { Confirmed } from '../trust/state.ts';
import type { FollowedByOwner } from './config-lines.ts';
import type { RegisteredDevice } from './devices.ts';
import type { Follower } from './follower.ts';
import type { Releases, StoredRelease } from './releases.ts';

/** A release that was verified here, and the line that offers it. */
export interface Candidate {
  readonly release: StoredRelease;
  readonly judged: JudgedLine;
}

/** What the lines hold for a device. */
export interface Prospect {
  readonly candidate: Candidate | undefined;
  /** Something newer may not be installed over what it runs, and no waypoint leads there. */
  readonly noWay: boolean;
  /** Every line of the device is known: what is not offered, is not on offer. */
  readonly complete: boolean;
}

/** The release that the first of the device's lines offers it (T16), if it was verified here. */
export function prospectOf(
  {
    followers,
    releases,
  }: { readonly followers: readonly Follower[]; readonly releases: Pick<Releases, 'release'> },
  device: RegisteredDevice,
): Prospect {
  const confirmed = confirmedOf(device);
  let noWay = false;
  let complete = true;
  for (const follower of followers) {
    for (const [position, followed] of follower.lines.entries()) {
      if (!isCompatible(followed, device)) continue;
      const judged = follower.judged(position);
      const offer = judged && offerOf(judged.proven.value, confirmed, {});
      if (!judged) complete = false;
      else if (offer === 'no way') noWay = true;
      else if (offer) {
        const release = releases.release(hex(offer.digest));
        if (release) return { candidate: { release, judged }, noWay, complete };
        complete = false;
      }
    }
  }
  return { candidate: undefined, noWay, complete };
}

function confirmedOf({ current }: RegisteredDevice): Confirmed | null {
  return current && { sequence: BigInt(current.sequence), digest: fromHex(current.digest, 32) };
}

/** Type, model and hardware version as the owner wrote them down for the line. */
export function isCompatible(followed: FollowedByOwner, device: RegisteredDevice): boolean {
  return followed.compatible.some(
    ({ type, model, hardware }) =>
      type === device.type && model === device.model && hardware.includes(device.hardware),
  );
}

/** For listings. */
export function describeLine(judged: JudgedLine): Readonly<Record<string, unknown>> {
  const { proven, freshness } = judged;
  const { newest } = proven.value;
  return {
    line: lineText(proven.line),
    freshness: freshnessText(freshness),
    newest: newest && { digest: hex(newest.digest), sequence: String(newest.sequence) },
    head: proven.head.size,
  };
}
