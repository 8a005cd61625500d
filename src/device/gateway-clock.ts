/**
 * Time as a device behind a gateway has it (T14): its own clock while that can be right, else the gateway's word, under
 * its name. Nothing here is stored: a floor rises by proofs alone.
 */
import type { GatewayTime } from '../api/downlink.ts';
import type { Clock } from '../clock.ts';
import type { ClockName } from '../trust/freshness.ts';
import type { SntpTime } from './sntp-client.ts';

export interface DeviceClock {
  readonly now: Clock;
  /** Whose time `now` gives. */
  readonly name: () => ClockName;
  /** What the gateway says over TLS; no time while it says that its own clock is not set. */
  readonly hear: (time: GatewayTime) => void;
  /** What came by SNTP, which anybody on the way could have changed: it never stands against the word over TLS. */
  readonly hearSntp: (time: SntpTime) => void;
}

interface Heard {
  /** Milliseconds since 1970, and when that was by the steady clock. */
  readonly time: number;
  readonly at: number;
}

/** Milliseconds that SNTP, which is exact, and the word over TLS, which counts in seconds, may differ by. */
const AGREE_MS = 5_000;

/**
 * `own` in POSIX seconds; `floor`: the device's time floor now; `steady`: milliseconds of a clock that never jumps.
 * `always`: the device has no clock of its own that keeps time.
 */
export function deviceClock(options: {
  readonly own: Clock;
  readonly floor: () => number;
  readonly steady: () => number;
  readonly always?: boolean;
}): DeviceClock {
  const { own, floor, steady, always = false } = options;
  let heard: Heard | undefined;
  let exact: Heard | undefined;
  let unset = false;
  // A clock below the floor has lost its time.
  const lost = (): boolean => always || own() < floor();
  const at = ({ time, at: then }: Heard): number => time + steady() - then;
  const best = (): Heard | undefined => {
    if (!exact) return heard;
    if (!heard) return unset ? undefined : exact;
    return Math.abs(at(exact) - at(heard)) <= AGREE_MS ? exact : heard;
  };
  return {
    now() {
      const word = best();
      return word && lost() ? Math.floor(at(word) / 1000) : own();
    },
    name: () => (best() && lost() ? 'gateway clock' : 'own clock'),
    hear({ time, synchronised }) {
      unset = !synchronised;
      if (synchronised) heard = { time: time * 1000, at: steady() };
    },
    hearSntp({ milliseconds, at: then }) {
      exact = { time: milliseconds, at: then };
    },
  };
}
