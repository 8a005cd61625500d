/** `firmament gateway`: make one, run it, and ask it what it does. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { hex } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import { readGatewayConfig } from '../gateway/config.ts';
import { startGateway } from '../gateway/gateway.ts';
import {
  answer,
  noPositionals,
  onlyPositional,
  readArguments,
  runVerb,
  type Arguments,
} from './arguments.ts';
import { systemClock } from './author-session.ts';
import { backup, restore } from './gateway-backup.ts';
import { call } from './gateway-call.ts';
import { reports } from './gateway-reports.ts';
import type { Io } from './io.ts';
import { jsonLogger } from './json-logger.ts';
import { untilStopped } from './until-stopped.ts';

const USAGE = `Usage: firmament gateway init DIR             a folder with a configuration to fill in, and a token
       firmament gateway start CONFIG         runs it until SIGTERM; logs JSON lines on stderr
       firmament gateway VERB --config CONFIG [--json]

  status                                      lines, devices, open offers
  poll                                        ask the nodes now
  devices                                     what each runs, what waits for it and why
  offers [--device ID]                        every attempt and its result
  events [--after ID]
  policy GROUP [--set FILE.json]              show or set a group's policy
  enrol [--model NAME] [--qr]                 a bundle for one device
  revoke DEVICE
  cancel OFFER
  consent|veto|postpone|opt-out [--device ID] [--digest DIGEST] [--until SECONDS] [--take-back]
  agree LINE                                  to the line's new owner
  reports [flush]                             what devices reported, and what went to authors; flush: batches now
  reports erase --root ROOT|--device ID       erases a batch, or what is kept of a device's reports
  backup DIR                                  a copy of its data in a new folder of this machine, while it runs or not
  restore DIR                                 makes the data folder, which must not be there, from such a copy

A backup holds the key of the gateway's root and devices' pre-shared keys: keep it as you keep those.`;

const WORDS = ['consent', 'veto', 'postpone', 'opt-out'] as const;

export function gateway(args: readonly string[], io: Io): Promise<number> {
  const said = Object.fromEntries(
    WORDS.map((word) => [word, (rest: readonly string[]) => say(word, rest, io)]),
  );
  return runVerb(
    'gateway',
    USAGE,
    {
      init,
      start,
      status,
      poll,
      devices,
      offers,
      events,
      policy,
      enrol,
      revoke,
      cancel,
      agree,
      reports,
      backup,
      restore,
      ...said,
    },
    args,
    io,
  );
}

async function init(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, []);
  const directory = onlyPositional(given, 'folder');
  const config = join(directory, 'gateway.json');
  check(!existsSync(config), 'GATEWAY_CONFIG', 'the folder has a gateway already');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, 'token'), `${hex(new Uint8Array(randomBytes(24)))}\n`, {
    mode: 0o600,
  });
  writeFileSync(config, `${JSON.stringify(EXAMPLE, null, 2)}\n`);
  answer(io, given, [`fill in ${config}, then: firmament gateway start ${config}`], { config });
}

const EXAMPLE = {
  name: 'home',
  data: 'data',
  hosts: ['192.168.1.2'],
  networks: [
    {
      root: 'root.cbor',
      lines: [
        {
          name: 'lamps of Acme',
          anchor: 'acme.cosekey',
          vendor: '00000000-0000-0000-0000-000000000000',
          class: '00000000-0000-0000-0000-000000000000',
          track: 'stable',
          for: [{ type: 'lamp', model: 'L1', hardware: ['1.0'] }],
        },
      ],
    },
  ],
  poll: 300,
  https: { host: '0.0.0.0', port: 8443 },
  api: { host: '127.0.0.1', port: 8444 },
  tokenFile: 'token',
  broker: { kind: 'embedded', listen: { host: '0.0.0.0', port: 8883 } },
};

/**
 * The young generation stays as small as it begins: what hundreds of sessions leave there counts more on a small machine
 * than a few more milliseconds of collecting.
 */
function keepSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

async function start(args: readonly string[], io: Io): Promise<void> {
  keepSmall();
  const given = readArguments(args, []);
  const config = readGatewayConfig(onlyPositional(given, 'configuration file'));
  await using started = await startGateway(config, {
    clock: systemClock,
    logger: jsonLogger(io),
  });
  const { https, api, mqtt, rootHash } = started;
  // Listened for before anybody is told that it runs: whoever is told may stop it at once.
  const stopped = untilStopped();
  io.stdout(JSON.stringify({ gateway: config.name, https, api, mqtt, rootHash }));
  await stopped;
}

/** What the API says is JSON already: indented for people, on one line for scripts. */
function show(io: Io, given: Arguments, value: unknown): void {
  io.stdout(given.json ? JSON.stringify(value) : JSON.stringify(value, null, 2));
}

async function status(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['config']);
  noPositionals(given);
  show(io, given, await call(given, 'GET', '/v1/status'));
}

async function poll(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['config']);
  noPositionals(given);
  show(io, given, await call(given, 'POST', '/v1/poll', {}));
}

async function devices(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['config']);
  noPositionals(given);
  show(io, given, await call(given, 'GET', '/v1/devices'));
}

async function offers(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['config', 'device']);
  noPositionals(given);
  const device = given.text('device');
  show(
    io,
    given,
    await call(given, 'GET', device === undefined ? '/v1/offers' : `/v1/offers?device=${device}`),
  );
}

async function events(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['config', 'after']);
  noPositionals(given);
  show(io, given, await call(given, 'GET', `/v1/events?after=${given.count('after', 0)}`));
}

async function policy(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['config', 'set']);
  const path = `/v1/groups/${encodeURIComponent(onlyPositional(given, 'group'))}/policy`;
  const file = given.text('set');
  if (file === undefined) return show(io, given, await call(given, 'GET', path));
  show(
    io,
    given,
    await call(given, 'PUT', path, JSON.parse(readFileSync(file, 'utf8')) as unknown),
  );
}

async function enrol(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['config', 'model', 'qr?']);
  noPositionals(given);
  const model = given.text('model');
  const made = (await call(
    given,
    'POST',
    '/v1/enrolment-codes',
    model === undefined ? {} : { model },
  )) as {
    readonly bundle?: unknown;
  };
  const bundle =
    typeof made.bundle === 'string'
      ? made.bundle
      : fail('NET_REMOTE_REFUSED', 'no bundle in the answer');
  if (given.flag('qr')) {
    const { renderUnicodeCompact } = await import('uqr');
    io.stdout(renderUnicodeCompact(bundle));
  }
  answer(io, given, [bundle], { bundle });
}

async function revoke(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['config']);
  const device = onlyPositional(given, 'device');
  show(
    io,
    given,
    await call(given, 'POST', `/v1/devices/${encodeURIComponent(device)}/revoke`, {}),
  );
}

async function cancel(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['config']);
  const offer = onlyPositional(given, 'offer');
  show(io, given, await call(given, 'POST', `/v1/offers/${encodeURIComponent(offer)}/cancel`, {}));
}

async function agree(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['config']);
  show(
    io,
    given,
    await call(given, 'POST', '/v1/lines/agree', { line: onlyPositional(given, 'line') }),
  );
}

async function say(word: (typeof WORDS)[number], args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['config', 'device', 'digest', 'until', 'take-back?']);
  noPositionals(given);
  const device = given.text('device');
  const digest = given.text('digest');
  const body = {
    ...(device !== undefined && { device }),
    ...(digest !== undefined && { digest }),
    ...(given.text('until') !== undefined && { until: Number(given.required('until')) }),
    ...(given.flag('take-back') && { takeBack: true }),
  };
  show(io, given, await call(given, 'POST', `/v1/decisions/${word}`, body));
}
