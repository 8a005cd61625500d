/**
 * Time as a device behind a gateway has it (T14): its own clock while that can be right, else the gateway's word, under
 * its name. Nothing here is stored: a floor rises by proofs alone.
 */
import type { GatewayTime } from '../api/downlink.ts';
import type { Clock } from '../clock.ts';
import type { ClockName } from '../trust/freshness.ts';

export interface DeviceClock {
  readonly now: Clock;
  /** Whose time `now` gives. */
  readonly name: () => ClockName;
  /** What the gateway says; without effect while it says that its own clock is not set. */
  readonly hear: (time: GatewayTime) => void;
}

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
  let heard: { readonly time: number; readonly at: number } | undefined;
  // A clock below the floor has lost its time.
  const lost = (): boolean => always || own() < floor();
  return {
    now: () => (heard && lost() ? heard.time + Math.floor((steady() - heard.at) / 1000) : own()),
    name: () => (heard && lost() ? 'gateway clock' : 'own clock'),
    hear({ time, synchronised }) {
      if (synchronised) heard = { time, at: steady() };
    },
  };
}
