/** `firmament network init`: a new network's genesis and every operator's folder. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { hex } from '../bytes.ts';
import { check } from '../errors.ts';
import { parsePlan } from '../node/plan.ts';
import { createNetwork } from '../node/setup.ts';
import { EXIT, type Io } from './io.ts';

const USAGE = `Usage: firmament network init MEMBERS.json DIRECTORY
       firmament network example > MEMBERS.json

init writes genesis.cbor and root.cbor (what devices pin) into DIRECTORY, and one folder an operator that holds only
that operator's secrets. Then, for every node: firmament node start DIRECTORY/OPERATOR/NODE/config.json`;

const EXAMPLE = {
  mode: 'consortium',
  quorum: 3,
  copies: 3,
  copiesElsewhere: 2,
  threshold: 3,
  maxAge: 86_400,
  maxHold: 43_200,
  skew: 300,
  orderer: 'dune/one',
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
      },
    ],
  })),
};

export async function network(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' } },
  });
  const [verb, members, directory] = positionals;
  if (values.help) {
    io.stdout(USAGE);
    return EXIT.ok;
  }
  if (verb === 'example' && positionals.length === 1) {
    io.stdout(JSON.stringify(EXAMPLE, null, 2));
    return EXIT.ok;
  }
  if (verb !== 'init' || members === undefined || directory === undefined) {
    io.stderr(USAGE);
    return EXIT.usage;
  }
  const text = readFileSync(members, 'utf8');
  check(text.length < 1 << 20, 'NODE_CONFIG', 'the member list is too large');
  const made = await createNetwork(parsePlan(text), directory, Math.floor(Date.now() / 1000));
  io.stdout(
    JSON.stringify({
      network: hex(made.genesis.networkId),
      mode: made.genesis.policy.mode,
      root: made.rootFile,
      nodes: Object.fromEntries(made.configs),
    }),
  );
  return EXIT.ok;
}
