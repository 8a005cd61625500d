/** The bench's side of a process with many simulated devices. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { FleetMember, FleetPlace } from './fleet-device.ts';

export type FleetCall = { readonly fleet: string } & (
  | {
      readonly what: 'connect';
      readonly members: readonly FleetMember[];
      readonly place: FleetPlace;
      /** Connections being made at one time. */
      readonly lanes: number;
    }
  /** From now on offers count, or (`empty`) withdrawals. */
  | { readonly what: 'expect'; readonly empty: boolean }
  | { readonly what: 'arrived'; readonly count: number }
  | { readonly what: 'install'; readonly from: number; readonly to: number }
  | { readonly what: 'close' }
);

const PATIENT = 300_000;

export interface Fleet extends AsyncDisposable {
  call(call: FleetCall): Promise<unknown>;
}

export function startFleet(): Fleet {
  const child = fork(join(import.meta.dirname, 'fleet.child.ts'), { stdio: 'inherit' });
  const waiting = new Map<number, (answer: { value?: unknown; error?: string }) => void>();
  let calls = 0;
  child.on('message', (answer: { number: number; value?: unknown; error?: string }) => {
    waiting.get(answer.number)?.(answer);
    waiting.delete(answer.number);
  });
  return {
    async call(call) {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      const number = ++calls;
      const late = setTimeout(() => reject(new Error(`${call.what}: no end`)), PATIENT);
      waiting.set(number, ({ value, error }) =>
        error === undefined ? resolve(value) : reject(new Error(error)),
      );
      child.send({ ...call, number });
      try {
        return await promise;
      } finally {
        clearTimeout(late);
      }
    },
    async [Symbol.asyncDispose]() {
      const gone = once(child, 'exit');
      child.disconnect();
      await gone;
    },
  };
}
