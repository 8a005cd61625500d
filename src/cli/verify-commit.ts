/** `firmament node verify-commit`: the validators' votes as an extra check of the head that operators cosigned. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { COMMIT, decodeCommit, MAX_COMMIT, type Commit } from '../api/commit.ts';
import { openNetwork } from '../author/network.ts';
import { newestRoot } from '../author/policies.ts';
import { equal, hex } from '../bytes.ts';
import { check, codeOf, fail } from '../errors.ts';
import { appHash } from '../light/app-hash.ts';
import { appHashOf, decodeCertificate, timeOf, type Certificate } from '../light/certificate.ts';
import { verifyCommit } from '../light/verify.ts';
import { parseCheckpoint, type Checkpoint } from '../log/checkpoint.ts';
import { cosignatureOf } from '../log/cosignature.ts';
import { MAX_NOTE, parseNote } from '../log/note.ts';
import type { Client } from '../net/client.ts';
import { chainIdOf, validatorsOf } from '../registry/orderer.ts';
import { nodesOf } from '../registry/policy.ts';
import { parseRoot, type Root } from '../registry/root.ts';
import { countOperators } from '../trust/quorum.ts';
import { answer, onlyPositional, readArguments, type Arguments } from './arguments.ts';
import type { Io } from './io.ts';

/** What a node shows: its newest commit, and the checkpoint that operators cosigned. */
export interface Shown {
  readonly commit: Commit;
  readonly checkpoint: Checkpoint;
  /** Whose cosignatures of the checkpoint verify. */
  readonly operators: readonly string[];
}

const ANSWER_MS = 10_000;
/** Commit and checkpoint come one after the other: while blocks are made they may be of two heads. */
const TRIES = 20;
const AGAIN_MS = 250;

export async function verifyCommitOf(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['root', 'max-age']);
  const name = onlyPositional(given, 'node');
  const pinned = parseRoot(new Uint8Array(readFileSync(given.required('root'))));
  await using network = openNetwork(pinned);
  const root = await newestRoot(network);
  await using newest = openNetwork(root);
  const url =
    nodesOf(root.policy).find((node) => node.name === name)?.node.url ??
    fail('NODE_CONFIG', `the policy lists no node ${name}`);
  const shown = await showing(newest.client, url, root);
  const certificate = proven(shown, root, pinned);
  checkAge(given, certificate, root);
  print(io, given, shown, certificate, root);
}

async function showing(client: Client, url: string, root: Root): Promise<Shown> {
  for (let tries = 1; ; tries++) {
    const shown = await shownBy(client, url, root);
    if (shown.commit.head.size === shown.checkpoint.size) return shown;
    const { size } = shown.commit.head;
    check(tries < TRIES, 'NODE_NO_COMMIT', 'commit and checkpoint are of two heads: ask again', {
      commit: size,
      checkpoint: shown.checkpoint.size,
    });
    await sleep(AGAIN_MS);
  }
}

async function shownBy(client: Client, url: string, root: Root): Promise<Shown> {
  const get = async (path: string, maxBytes: number): Promise<Uint8Array> =>
    (await client.request({ url: url + path, maxBytes, timeoutMs: ANSWER_MS })).body;
  const commit = decodeCommit(await get(COMMIT, MAX_COMMIT));
  const note = parseNote(new TextDecoder().decode(await get('/checkpoint', MAX_NOTE)));
  const checkpoint = parseCheckpoint(note.text);
  const witnesses = countOperators(root, checkpoint, note.signatures.map(cosignatureOf));
  return { commit, checkpoint, operators: witnesses.map(({ operator }) => operator) };
}

/**
 * The certificate, once it is known that validators signed it and that it is of the head that operators cosigned.
 * Errors: COMMIT_*, LEDGER_CERTIFICATE, NODE_HEAD_FORK.
 */
export function proven({ commit, checkpoint }: Shown, root: Root, pinned: Root): Certificate {
  const certificate = decodeCertificate(commit.certificate);
  try {
    verifyBy(root, certificate);
  } catch (error) {
    // The validators of the policy before sign one more header after a change.
    if (root === pinned || !codeOf(error)?.startsWith('COMMIT_')) throw error;
    verifyBy(pinned, certificate);
  }
  check(equal(appHashOf(certificate), appHash(commit.head)), 'LEDGER_CERTIFICATE');
  check(equal(commit.head.root, checkpoint.root), 'NODE_HEAD_FORK', undefined, {
    size: checkpoint.size,
  });
  return certificate;
}

function verifyBy({ networkId, policy }: Root, certificate: Certificate): void {
  const { orderer } = policy;
  if (orderer.engine !== 'cometbft')
    return fail('NODE_NO_COMMIT', 'one node orders: no validators');
  verifyCommit(certificate, validatorsOf(orderer), chainIdOf(networkId, orderer.chain));
}

function checkAge(given: Arguments, certificate: Certificate, { policy }: Root): void {
  const age = Math.floor(Date.now() / 1000) - timeOf(certificate);
  check(age <= given.count('max-age', policy.maxAge), 'LIGHT_EXPIRED', `${age} seconds old`);
}

function print(
  io: Io,
  given: Arguments,
  { commit, operators }: Shown,
  certificate: Certificate,
  root: Root,
): void {
  const { header } = certificate;
  const { votes } = certificate.commit;
  const { height, size } = commit.head;
  const signed = votes.filter(({ kind }) => kind === 'commit').length;
  const time = new Date(timeOf(certificate) * 1000).toISOString();
  answer(
    io,
    given,
    [
      `${header.chainId} ${header.height}: ${signed} of ${votes.length} validators signed, ${time}`,
      `height ${height}, ${size} entries, root ${hex(commit.head.root)}`,
      `the same head is cosigned by ${operators.join(', ')}`,
    ],
    {
      network: hex(root.networkId),
      policy: root.policy.version,
      chain: header.chainId,
      engineHeight: String(header.height),
      time,
      votes: signed,
      validators: votes.length,
      height,
      size,
      root: hex(commit.head.root),
      operators,
    },
  );
}
