/** T11: what may not be held back goes to the orderer and to every other node, again and again until it is ordered. */
import { codeOf } from '../errors.ts';
import { appointedBy } from '../ledger/hand-over.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Replica } from '../ledger/replica.ts';
import type { Logger } from '../logger.ts';
import { policyInForce } from '../registry/state.ts';
import type { Statement } from '../registry/statement.ts';
import type { Appointment } from './appointment.ts';
import { Bell } from './bell.ts';
import type { Peers } from './peers.ts';
import type { UrgentStatements, WaitingGroup } from './urgent-statements.ts';

export interface SpreadParts {
  /** OPERATOR/NODE. */
  readonly self: string;
  readonly replica: Replica;
  readonly ledger: Ledger;
  readonly peers: Peers;
  readonly urgent: UrgentStatements;
  readonly appointment: Appointment;
  readonly logger: Logger;
}

const AGAIN_MS = 1_000;

/** Runs until the signal is aborted. */
export async function spread(parts: SpreadParts, signal: AbortSignal): Promise<void> {
  const { urgent } = parts;
  const bell = new Bell();
  using stops = new DisposableStack();
  stops.defer(urgent.onNew(bell.ring));
  /** Names of the nodes that have a group, by its id. */
  const told = new Map<string, Set<string>>();
  while (!signal.aborted) {
    const waiting = urgent.waiting();
    for (const id of told.keys()) if (!waiting.some((each) => each.id === id)) told.delete(id);
    await Promise.all(
      waiting.map(async (each) => {
        const known = told.get(each.id) ?? new Set<string>();
        told.set(each.id, known);
        await Promise.all([tellOthers(parts, each, known), askOrderer(parts, each)]);
      }),
    );
    await bell.heard(waiting.length > 0 ? AGAIN_MS : 60_000, signal);
  }
}

async function tellOthers(
  { peers, logger }: SpreadParts,
  { body }: WaitingGroup,
  known: Set<string>,
): Promise<void> {
  await Promise.all(
    peers.others().map(async (peer) => {
      if (known.has(peer.name)) return;
      try {
        await peers.tellStatements(peer, body);
        known.add(peer.name);
      } catch (error) {
        logger.debug('an urgent statement did not arrive', {
          peer: peer.name,
          code: codeOf(error),
        });
      }
    }),
  );
}

async function askOrderer(parts: SpreadParts, { group }: WaitingGroup): Promise<void> {
  try {
    await parts.ledger.submit(group);
  } catch (error) {
    const code = codeOf(error);
    parts.logger.warn('an urgent statement waits to be ordered', { code });
    // T12: the orderer is gone, and operators named another in its place.
    if (code === 'NODE_ORDERER_UNREACHABLE')
      for (const { statement } of group) appoint(parts, statement);
  }
}

function appoint({ self, replica, appointment }: SpreadParts, statement: Statement): void {
  if (statement.kind !== 'policy.change' || replica.orderer()?.name === self) return;
  const appointed = appointedBy(policyInForce(replica.view()), statement);
  // Also when another was appointed before, who is gone too.
  if (appointed?.name === self && appointment.appointed()?.name !== self)
    appointment.accept(statement.bytes);
}
