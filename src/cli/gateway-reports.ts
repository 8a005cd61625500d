/** `firmament gateway reports`: what the owner's devices said, and what goes to authors (T25). */
import { answer, noPositionals, readArguments, wrong } from './arguments.ts';
import { call } from './gateway-call.ts';
import type { Io } from './io.ts';

const PATH = '/v1/report-batches';

export async function reports(args: readonly string[], io: Io): Promise<void> {
  const [verb] = args;
  const rest = verb === 'flush' || verb === 'erase' ? args.slice(1) : args;
  const given = readArguments(rest, ['config', 'root', 'device']);
  noPositionals(given);
  const root = given.text('root');
  const device = given.text('device');
  const one = (root === undefined) !== (device === undefined);
  if (verb === 'erase' && !one) wrong('reports erase needs --root or --device');
  const found =
    verb === 'flush'
      ? await call(given, 'POST', `${PATH}/flush`, {})
      : verb === 'erase'
        ? await call(given, 'POST', `${PATH}/erase`, root === undefined ? { device } : { root })
        : await call(given, 'GET', PATH);
  answer(io, given, [JSON.stringify(found, null, 2)], found as Readonly<Record<string, unknown>>);
}
