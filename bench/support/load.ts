/** Registrations signed in advance, and sending them with so many in flight. */
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeGroup, decodeRegistered, REGISTRATIONS } from '../../src/api/registration.ts';
import { declareStatement, registerStatement } from '../../src/author/statements.ts';
import { leafHash } from '../../src/log/merkle.ts';
import { verifyReceipt } from '../../src/log/receipt.ts';
import { nodesOf } from '../../src/registry/policy.ts';
import type { Root } from '../../src/registry/root.ts';
import type { Statement } from '../../src/registry/statement.ts';
import { fixtureAuthor, fixtureLine } from '../../src/testing/fixture.ts';
import { fixtureRelease } from '../../src/testing/release-fixture.ts';
import { openConnection, post, type Answer, type Connection } from './connection.ts';

const RETRY_MS = 20;

interface Registration {
  readonly statement: Statement;
  readonly request: Uint8Array;
}

/** What one author sends, one after the other. */
export interface Lane {
  readonly enrolment: Uint8Array;
  readonly registrations: readonly Registration[];
}

/** An author with a line and so many signed releases of it, each with its manifest. */
export function makeLane(networkId: Uint8Array, name: string, releases: number): Lane {
  const author = fixtureAuthor(networkId, { name, curve: 'Ed25519' });
  const line = fixtureLine(author.author);
  const recovery = author.recovery.map((key) => key.publicKey);
  const enrolment = request([
    {
      statement: registerStatement(author, 1n, { name, recovery, threshold: 1 }),
      attachment: null,
    },
    { statement: declareStatement(author, 2n, line), attachment: null },
  ]);
  const registrations = Array.from({ length: releases }, (_, i) => {
    const { statement, attachment } = fixtureRelease(author, line, BigInt(i + 1));
    return { statement, request: request([{ statement, attachment }]) };
  });
  return { enrolment, registrations };
}

function request(
  group: readonly { readonly statement: Statement; readonly attachment: Uint8Array | null }[],
): Uint8Array {
  const raw = group.map(({ statement, attachment }) => ({
    statement: statement.bytes,
    attachment,
  }));
  return post(REGISTRATIONS, 'localhost', 'application/cbor', encodeGroup(raw));
}

export interface Sent {
  /** Answered with a receipt, those of the last moment (`until`) not counted. */
  readonly done: number;
  readonly seconds: number;
  /** Milliseconds from request to answer, sorted. */
  readonly latencies: readonly number[];
  /** By status, of those that got no receipt. */
  readonly others: Readonly<Record<string, number>>;
  readonly answers: readonly { readonly statement: Statement; readonly answer: Answer }[];
}

/**
 * Enrols every lane, then sends all that it has, a lane a connection, for at most `seconds`. `ports`: the node, or
 * several that the lanes share.
 */
export async function send(
  ports: number | readonly number[],
  lanes: readonly Lane[],
  seconds: number,
  enrolAtOnce = lanes.length,
): Promise<Sent> {
  const given = typeof ports === 'number' ? [ports] : ports;
  const connections = await Promise.all(
    lanes.map((_, i) => openConnection(given[i % given.length] as number)),
  );
  try {
    const enrolled: Answer[] = [];
    for (let from = 0; from < lanes.length; from += enrolAtOnce) {
      const some = lanes
        .slice(from, from + enrolAtOnce)
        .map((lane, i) => (connections[from + i] as Connection).request(lane.enrolment));
      enrolled.push(...(await Promise.all(some)));
    }
    const refused = enrolled.find(({ status }) => status >= 300);
    if (refused) throw new Error(`an author was refused: ${Buffer.from(refused.body).toString()}`);
    const answers: { statement: Statement; answer: Answer }[] = [];
    const latencies: number[] = [];
    const others: Record<string, number> = {};
    const began = performance.now();
    const until = began + seconds * 1000;
    let ended = began;
    await Promise.all(
      lanes.map(async (lane, i) => {
        for (let next = 0; next < lane.registrations.length && performance.now() < until;) {
          const { statement, request: bytes } = lane.registrations[next] as Registration;
          const asked = performance.now();
          const answer = await (connections[i] as Connection).request(bytes);
          ended = performance.now();
          if (answer.status === 201) {
            latencies.push(ended - asked);
            answers.push({ statement, answer });
          } else others[answer.status] = (others[answer.status] ?? 0) + 1;
          // Whoever is sent away comes again soon, and not as late as it is told.
          if (answer.status === 503) await sleep(RETRY_MS);
          else next++;
        }
      }),
    );
    return {
      done: answers.length,
      seconds: (ended - began) / 1000,
      latencies: latencies.toSorted((a, b) => a - b),
      others,
      answers,
    };
  } finally {
    for (const connection of connections) connection[Symbol.dispose]();
  }
}

/** Every answer has the receipt of its own statement, signed by a node of the network. */
export function checkReceipts(root: Root, sent: Sent): void {
  const keys = nodesOf(root.policy).map(({ node }) => node.receipt);
  for (const { statement, answer } of sent.answers) {
    const [entry] = decodeRegistered(answer.body).entries;
    const receipt = entry?.receipt ?? new Uint8Array();
    const valid = keys.some((key) => {
      try {
        return (
          verifyReceipt(receipt, { key, leafHash: leafHash(statement.entry) }).index ===
          entry?.index
        );
      } catch {
        return false;
      }
    });
    if (!valid) throw new Error('an answer without a valid receipt');
  }
}

/** A quantile of sorted numbers. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
