/** `firmament device`: make a device, run it, or let it ask once. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeKey } from '../cose/key.ts';
import { fail } from '../errors.ts';
import { modelOf, openDevice, provisionDevice, type DeviceOptions } from '../device/device.ts';
import { enrolDevice, openEnrolment } from '../device/enrolment.ts';
import { openGatewayDevice } from '../device/gateway-device.ts';
import type { AgentEvent } from '../device/agent.ts';
import type { StaleInstall } from '../device/provision.ts';
import type { SlotLayout } from '../device/slot-state.ts';
import { lockDevice } from '../device/lock.ts';
import { classIdOf, vendorIdOf } from '../author/identifiers.ts';
import { openPskFile } from '../author/psk-file.ts';
import {
  answer,
  onlyPositional,
  readArguments,
  runVerb,
  wrong,
  type Arguments,
} from './arguments.ts';
import type { Io } from './io.ts';
import { passphraseOf } from './passphrase.ts';
import { untilStopped } from './until-stopped.ts';

const USAGE = `Usage: firmament device provision DIR --root FILE --author COSE_KEY_FILE --vendor DOMAIN|UUID --class NAME|UUID
                                  --model NAME [--name NAME] [--track TRACK]... [--stale never|consent|allow]
                                  [--slots ab|single] [--clock own|none]
                                  [--psk-file FILE [--passphrase-file FILE]]
       firmament device run DIR [--interval SECONDS] [--nodes OPERATOR/NODE,...] [--consent]
       firmament device enrol DIR BUNDLE --type NAME --hardware VERSION [--model NAME] [--tier certificate|psk] [--name NAME] [--mac MAC]
       firmament device run DIR --gateway [--mode force|self] [--interval SECONDS] [--battery FILE] [--clock own|gateway]
                                  [--sntp HOST:PORT|none] [--consent]
       firmament device poll DIR [--nodes OPERATOR/NODE,... | --archive FILE...] [--consent] [--retry]

provision makes a device's folder as its maker would: anchors, lines, root, time floor, key. run boots it and asks the
nodes every interval (60 s unless said otherwise) until SIGTERM. poll boots it, asks once, prints the outcome as
one JSON line and ends. enrol makes the device one of a gateway's, with the owner's bundle; run --gateway then takes that
gateway's offers over MQTT, checking everything for itself. Events are JSON lines on stdout.

--psk-file the PSK of a PSK author, in the author's own file: no release is taken without a MAC by it
--slots    ab (the default): two slots that boot; single: one, and a staging area
--clock    to provision: none, the device has no clock that keeps time; it asks k operators what is new with a nonce
--mode     force (the default) waits to be told; self asks every interval too (5 s unless said otherwise)
--battery  this file has the percent that is left; below 20 nothing is begun
--clock    to run: gateway, the device has no clock of its own that keeps time
--sntp     where the time is asked for at each connect; the gateway's port 123 unless said otherwise
--archive  asks this file of \`release export\` in the place of nodes, without any network; may be given several times
--consent  the owner agrees to install on a stale proof    --retry  try again a release whose trial failed`;

export function device(args: readonly string[], io: Io): Promise<number> {
  return runVerb('device', USAGE, { provision, enrol, run, poll }, args, io);
}

async function provision(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [
    'root',
    'author',
    'vendor',
    'class',
    'model',
    'name',
    'track*',
    'stale',
    'slots',
    'clock',
    'psk-file',
    'passphrase-file',
  ]);
  const directory = onlyPositional(given, 'folder');
  const anchor = new Uint8Array(readFileSync(given.required('author')));
  decodeKey(anchor);
  const vendorId = vendorIdOf(given.required('vendor'));
  const model = given.required('model');
  const tracks = given.list('track');
  const slots = slotsOf(given.text('slots') ?? 'ab');
  const clock = given.text('clock') ?? 'own';
  if (clock !== 'own' && clock !== 'none') return wrong('--clock is own or none');
  const pskFile = given.text('psk-file');
  const psk =
    pskFile === undefined
      ? undefined
      : await openPskFile(pskFile, await passphraseOf(given, `Passphrase of ${pskFile}: `));
  const made = {
    name: given.text('name') ?? model,
    model,
    vendorId,
    classId: classIdOf(vendorId, given.required('class')),
    lines: (tracks.length > 0 ? tracks : ['stable']).map((track) => ({ anchor, track })),
    root: new Uint8Array(readFileSync(given.required('root'))),
    floor: Math.floor(Date.now() / 1000),
    staleInstall: staleOf(given.text('stale') ?? 'consent'),
    ...(slots === 'single' && { slots }),
    ...(clock === 'none' && ({ clock } as const)),
  };
  provisionDevice(directory, made, psk);
  answer(io, given, [`device ${model} in ${directory}`], { device: directory, model });
}

function staleOf(value: string): StaleInstall {
  return value === 'never' || value === 'consent' || value === 'allow'
    ? value
    : wrong('--stale is never, consent or allow');
}

function slotsOf(value: string): SlotLayout {
  return value === 'ab' || value === 'single' ? value : wrong('--slots is ab or single');
}

function optionsOf(given: Arguments, io: Io): DeviceOptions {
  const print = (event: object): void => io.stdout(JSON.stringify(event));
  const nodes = given.text('nodes');
  const archives = given.list('archive');
  if (nodes !== undefined && archives.length > 0) wrong('--nodes or --archive, not both');
  return {
    clock: () => Math.floor(Date.now() / 1000),
    consent: given.flag('consent'),
    retry: given.flag('retry'),
    ...(nodes !== undefined && { onlyNodes: nodes.split(',') }),
    ...(archives.length > 0 && { archives }),
    onAgentEvent: sparingly(print),
    onBootEvent: (event) => print({ ...event, type: `boot-${event.type}` }),
  };
}

/** Progress at most every 2 % and at the end, or every 250 ms; everything else as it comes. */
function sparingly(print: (event: AgentEvent) => void): (event: AgentEvent) => void {
  let done = 0;
  let at = 0;
  return (event) => {
    if (event.type === 'installing') done = at = 0;
    if (event.type === 'progress') {
      const now = performance.now();
      const step = event.done < done || event.done - done >= event.total / 50;
      if (!step && event.done < event.total && now - at < 250) return;
      done = event.done;
      at = now;
    }
    print(event);
  };
}

const OPTIONS = ['nodes', 'consent?', 'retry?', 'interval'];

async function poll(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [...OPTIONS, 'archive*']);
  await using opened = await openDevice(onlyPositional(given, 'folder'), optionsOf(given, io));
  const result = await opened.agent.poll();
  io.stdout(JSON.stringify({ type: 'result', ...result, running: runningOf(opened) }));
  if (result.code) fail(result.code, result.message);
}

async function enrol(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['type', 'model', 'hardware', 'tier', 'name', 'mac']);
  const [directory, bundle, ...more] = given.positionals;
  if (directory === undefined || bundle === undefined || more.length > 0)
    return wrong('a folder and the text of a bundle');
  const tier = given.text('tier') ?? 'certificate';
  if (tier !== 'certificate' && tier !== 'psk') return wrong('--tier is certificate or psk');
  const name = given.text('name');
  const mac = given.text('mac');
  await using held = new AsyncDisposableStack();
  held.use(lockDevice(directory));
  const enrolment = await enrolDevice(enrolmentFolder(directory), {
    bundle,
    tier,
    type: given.required('type'),
    model: given.text('model') ?? modelOf(directory),
    hardware: given.required('hardware'),
    ...(name !== undefined && { name }),
    ...(mac !== undefined && { mac }),
  });
  const { device: id, mqtt, https } = enrolment;
  answer(io, given, [`device ${id} is enrolled at ${https}`], { device: id, tier, mqtt, https });
}

async function runBehindGateway(given: Arguments, io: Io): Promise<void> {
  const print = (event: object): void => io.stdout(JSON.stringify(event));
  const directory = onlyPositional(given, 'folder');
  const mode = given.text('mode') ?? 'force';
  const clock = given.text('clock') ?? 'own';
  const battery = given.text('battery');
  if (mode !== 'force' && mode !== 'self') return wrong('--mode is force or self');
  if (clock !== 'own' && clock !== 'gateway') return wrong('--clock is own or gateway');
  const sntp = given.text('sntp');
  const { onlyNodes: _nodes, ...options } = optionsOf(given, io);
  await using opened = await openGatewayDevice(directory, {
    enrolment: await openEnrolment(enrolmentFolder(directory)),
    device: options,
    offers: {
      mode,
      interval: given.count('interval', 5) * 1000,
      ...(battery !== undefined && { battery: () => percentIn(battery) }),
      onEvent: (event) => print({ ...event, running: runningOf(opened.device) }),
    },
    ...(clock === 'gateway' && { gatewayTime: 'always' }),
    ...(sntp !== undefined && { sntp: sntp === 'none' ? null : addressOf(sntp) }),
  });
  const stopped = untilStopped();
  io.stdout(JSON.stringify({ type: 'ready', running: runningOf(opened.device) }));
  await stopped;
}

function addressOf(text: string): { readonly host: string; readonly port: number } {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  const valid = host !== undefined && Number(port) > 0 && Number(port) < 65_536;
  return valid ? { host, port: Number(port) } : wrong('--sntp is HOST:PORT or none');
}

function percentIn(file: string): number {
  const percent = Number(readFileSync(file, 'utf8'));
  return Number.isFinite(percent) ? Math.round(Math.min(Math.max(percent, 0), 100)) : 0;
}

function enrolmentFolder(directory: string): string {
  return join(directory, 'gateway');
}

async function run(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [...OPTIONS, 'gateway?', 'mode', 'battery', 'clock', 'sntp']);
  if (given.flag('gateway')) return runBehindGateway(given, io);
  const seconds = given.count('interval', 60);
  await using opened = await openDevice(onlyPositional(given, 'folder'), optionsOf(given, io));
  const stop = new AbortController();
  const stopped = untilStopped().then(() => stop.abort());
  io.stdout(JSON.stringify({ type: 'ready', running: runningOf(opened) }));
  while (!stop.signal.aborted) {
    const result = await opened.agent.poll();
    io.stdout(JSON.stringify({ type: 'result', ...result, running: runningOf(opened) }));
    await sleep(seconds * 1000, undefined, { signal: stop.signal }).catch(() => undefined);
  }
  await stopped;
}

function runningOf(opened: Awaited<ReturnType<typeof openDevice>>): object {
  const { status } = opened.bootloader;
  const { kind } = status;
  if (!('image' in status)) return { kind };
  const { version, digest, sequence } = status.image;
  return {
    kind,
    slot: status.slot,
    version,
    digest,
    sequence: sequence.toString(),
    ...(status.kind === 'running' && {
      reported: status.reported ?? null,
      healthy: status.healthy,
    }),
  };
}
