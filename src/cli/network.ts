/** `firmament network init`: a new network's genesis and every operator's folder. */
import { readFileSync } from 'node:fs';
import { hex } from '../bytes.ts';
import { check } from '../errors.ts';
import { parsePlan } from '../node/plan.ts';
import { createNetwork } from '../node/setup.ts';
import { answer, noPositionals, readArguments, runVerb, wrong } from './arguments.ts';
import type { Io } from './io.ts';

const USAGE = `Usage: firmament network init MEMBERS.json DIRECTORY
       firmament network example [--engine cometbft] > MEMBERS.json

init writes genesis.cbor and root.cbor (what devices pin) into DIRECTORY, and one folder an operator that holds only
that operator's secrets. Then, for every node: firmament node start DIRECTORY/OPERATOR/NODE/config.json

example writes four operators on this machine: one of them orders, or with --engine cometbft all four agree.`;

const exampleOf = (consortium: boolean): unknown => ({
  mode: 'consortium',
  quorum: 3,
  copies: 3,
  copiesElsewhere: 2,
  threshold: 3,
  maxAge: 86_400,
  maxHold: 43_200,
  skew: 300,
  ...(consortium ? { engine: 'cometbft' } : { orderer: 'dune/one' }),
  operators: ['acme', 'birch', 'city', 'dune'].map((name, i) => ({
    name,
    kind: i < 2 ? 'author' : 'non-author',
    nodes: [
      {
        name: 'one',
        roles: ['general', 'registration', 'retrieval'],
        url: `https://127.0.0.1:${7101 + i}`,
        host: '127.0.0.1',
        port: 7101 + i,
        ...(consortium && { engine: { address: `127.0.0.1:${7201 + i}` } }),
      },
    ],
  })),
});

export function network(args: readonly string[], io: Io): Promise<number> {
  return runVerb('network', USAGE, { init, example }, args, io);
}

async function example(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['engine']);
  noPositionals(given);
  const engine = given.text('engine') ?? 'local';
  if (engine !== 'local' && engine !== 'cometbft') wrong('--engine is local or cometbft');
  io.stdout(JSON.stringify(exampleOf(engine === 'cometbft'), null, 2));
}

async function init(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, []);
  const [members, directory, ...rest] = given.positionals;
  if (members === undefined || directory === undefined || rest.length > 0)
    return wrong('MEMBERS.json and a folder are needed');
  const text = readFileSync(members, 'utf8');
  check(text.length < 1 << 20, 'NODE_CONFIG', 'the member list is too large');
  const made = await createNetwork(parsePlan(text), directory, Math.floor(Date.now() / 1000));
  const { mode } = made.genesis.policy;
  const id = hex(made.genesis.networkId);
  answer(
    io,
    given,
    [
      `network ${id} (${mode})`,
      ...[...made.configs].map(([name, path]) => `${name}: firmament node start ${path}`),
      ...(made.genesis.policy.orderer.engine === 'cometbft'
        ? ['each member needs CometBFT: scripts/install-cometbft']
        : []),
    ],
    {
      network: id,
      mode,
      root: made.rootFile,
      nodes: Object.fromEntries(made.configs),
    },
  );
}
