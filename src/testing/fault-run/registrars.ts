/** Authors who register one statement after the other, each posted until its receipt is verified. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openNetwork, type Network } from '../../author/network.ts';
import { register, type Receipted } from '../../author/registration.ts';
import { declareStatement, registerStatement } from '../../author/statements.ts';
import { codeOf } from '../../errors.ts';
import type { Root } from '../../registry/root.ts';
import type { Statement } from '../../registry/statement.ts';
import { fixtureAuthor, fixtureLine } from '../fixture.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { Violations } from './violations.ts';

/** Milliseconds between two statements of one author. */
const PACE_MS = 250;
/** Milliseconds for which one attempt goes on. */
const ATTEMPT_MS = 20_000;
/** Lines of one author. */
const LINES = 200;

/** Goes on until the signal is aborted. Never rejects. */
export async function registerOn(
  root: Root,
  name: string,
  acknowledgements: Acknowledgements,
  violations: Violations,
  signal: AbortSignal,
): Promise<void> {
  await using network = openNetwork(root, { pause: 200 });
  try {
    for (let life = 0; !signal.aborted; life++)
      for (const statement of statementsOf(root, `${name} ${life}`)) {
        const receipted = await acknowledged(network, statement, signal);
        if (!receipted) return;
        acknowledgements.add(receipted);
        await sleep(PACE_MS, undefined, { signal }).catch(() => undefined);
      }
  } catch (error) {
    violations.add(`author ${name} was refused: ${codeOf(error) ?? ''} ${String(error)}`);
  }
}

function* statementsOf(root: Root, name: string): Generator<Statement> {
  const author = fixtureAuthor(root.networkId, { name });
  const recovery = author.recovery.map((key) => key.publicKey);
  yield registerStatement(author, 1n, { name, recovery, threshold: 1 });
  for (let line = 0; line < LINES; line++)
    yield declareStatement(author, BigInt(line + 2), fixtureLine(author.author, `model ${line}`));
}

/** Undefined when the signal came first. */
async function acknowledged(
  network: Network,
  { bytes }: Statement,
  signal: AbortSignal,
): Promise<Receipted | undefined> {
  const group = [{ statement: bytes, attachment: null }];
  while (!signal.aborted) {
    try {
      const { entries } = await register(network, group, { timeoutMs: ATTEMPT_MS, signal });
      return entries[0];
    } catch (error) {
      const code = codeOf(error);
      if (code !== 'AUTHOR_TIMEOUT' && code !== 'NET_ABORTED') throw error;
    }
  }
  return undefined;
}
