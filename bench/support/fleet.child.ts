/** Many simulated devices in a process of their own, told what to do by the bench over IPC. */
import { FleetDevice, sharedNow } from './fleet-device.ts';
import type { FleetCall } from './fleet.ts';

const fleets = new Map<string, { devices: FleetDevice[]; arrived: number[]; empty: boolean }>();

async function inLanes<T>(lanes: number, items: readonly T[], work: (item: T) => Promise<void>) {
  const queue = items.values();
  const lane = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

let expected: { fleet: string; count: number; done: () => void } | undefined;

async function answer(call: FleetCall): Promise<unknown> {
  const fleet = fleets.get(call.fleet) ?? { devices: [], arrived: [], empty: false };
  fleets.set(call.fleet, fleet);
  switch (call.what) {
    case 'connect': {
      const { place, lanes } = call;
      const fresh = call.members.map(
        (member) =>
          new FleetDevice(member, place, (empty) => {
            if (empty !== fleet.empty) return;
            fleet.arrived.push(sharedNow());
            if (expected?.fleet === call.fleet && fleet.arrived.length >= expected.count)
              expected.done();
          }),
      );
      const began = sharedNow();
      await inLanes(lanes, fresh, (device) => device.connect(place.https !== undefined));
      fleet.devices.push(...fresh);
      return sharedNow() - began;
    }
    case 'expect':
      fleet.arrived = [];
      fleet.empty = call.empty;
      return null;
    case 'arrived': {
      const { count } = call;
      if (fleet.arrived.length < count)
        await new Promise<void>((done) => (expected = { fleet: call.fleet, count, done }));
      expected = undefined;
      return fleet.arrived;
    }
    case 'install': {
      const from = fleet.devices.slice(call.from, call.to);
      let busy = 0;
      await inLanes(from.length, from, async (device) => {
        busy += await device.install();
      });
      return busy;
    }
    case 'close':
      for (const device of fleet.devices.splice(0)) device.close();
      return null;
    default:
      throw new Error('no such call');
  }
}

process.on('message', (call: FleetCall & { readonly number: number }) => {
  answer(call).then(
    (value) => process.send?.({ number: call.number, value }),
    (error: unknown) => process.send?.({ number: call.number, error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
