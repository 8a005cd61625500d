/** The time as devices get it: what the machine's clock says and whether it is synchronised, and the SNTP responder. */
import type { GatewayTime } from '../api/downlink.ts';
import type { Clock } from '../clock.ts';
import type { GatewayConfig } from './config.ts';
import { openGatewayClock } from './kernel-clock.ts';
import { openSntp } from './sntp.ts';

export interface DeviceTime extends AsyncDisposable {
  readonly now: () => GatewayTime;
}

/** Errors: NET_LISTEN_FAILED. */
export async function openDeviceTime(
  { sntp }: Pick<GatewayConfig, 'sntp'>,
  clock: Clock,
): Promise<DeviceTime> {
  await using cleanup = new AsyncDisposableStack();
  const gatewayClock = cleanup.use(openGatewayClock(clock, sntp?.clock ?? 'kernel'));
  const now = (): GatewayTime => gatewayClock.now();
  if (sntp)
    cleanup.use(
      await openSntp({
        ...sntp.listen,
        milliseconds: () => Date.now(),
        synchronised: () => now().synchronised,
      }),
    );
  const owned = cleanup.move();
  return { now, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
