/** Authors whose keys change, for tests: statements of recovery keys in one call each. */
import type { PrivateKey } from '../crypto/key.ts';
import {
  acceptTransfer,
  approveRequest,
  newRequest,
  signedStatements,
  type KeyChange,
} from '../author/key-changes.ts';
import { declareStatement, registerStatement } from '../author/statements.ts';
import { thumbprint } from '../cose/key.ts';
import type { Line } from '../registry/line.ts';
import { getNodeCounter } from '../registry/state.ts';
import { parseStatement, type Statement } from '../registry/statement.ts';
import { fixtureKey, holdStatement, type FixtureAuthor, type FixtureNetwork } from './fixture.ts';
import {
  fixtureAnchor,
  fixtureRelease,
  type FixtureLedger,
  type FixtureRelease,
} from './release-fixture.ts';

/** The change as a statement, signed by the given recovery keys (the author's unless given), the last as its signer. */
export function recoveryStatement(
  author: Pick<FixtureAuthor, 'author' | 'networkId' | 'recovery'>,
  counter: bigint,
  change: KeyChange,
  signers: readonly PrivateKey[] = author.recovery,
): Statement {
  const keys = signers.map((key) => key.publicKey);
  const set = { keys, threshold: signers.length };
  const request = newRequest(author.author, author.networkId, set, [change], [counter]);
  const [bytes] = signedStatements(signers.reduce(approveRequest, request));
  return parseStatement(bytes as Uint8Array);
}

/** An author with recovery keys `NAME recovery 1` and so on. */
export function authorWithRecovery(
  networkId: Uint8Array,
  name: string,
  recoveryKeys = 3,
): FixtureAuthor {
  const key = fixtureKey(`author ${name}`);
  const recovery = Array.from({ length: recoveryKeys }, (_, i) =>
    fixtureKey(`author ${name} recovery ${i + 1}`),
  );
  return { name, key, author: thumbprint(key.publicKey), networkId, recovery };
}

/** The same author signing with another of its release keys. */
export function withKey(author: FixtureAuthor, key: PrivateKey): FixtureAuthor {
  return { ...author, key };
}

/** The heir's acceptance of the line. */
export function acceptance(heir: FixtureAuthor, line: Line, from: FixtureAuthor): Uint8Array {
  return acceptTransfer(heir.key, heir.networkId, line, from.author, heir.author);
}

/** author.register with counter 1, and line.declare with counter 2 when there is a line. */
export function register(
  ledger: FixtureLedger,
  author: FixtureAuthor,
  threshold: number,
  line?: Line,
): Statement {
  const recovery = author.recovery.map((key) => key.publicKey);
  const registration = registerStatement(author, 1n, { name: author.name, recovery, threshold });
  ledger.apply(registration);
  if (line) ledger.apply(declareStatement(author, 2n, line));
  return registration;
}

/** Registers a release, anchors its image and has three operators hold it. `counter`: of the anchor. */
export function publish(
  ledger: FixtureLedger,
  network: FixtureNetwork,
  author: FixtureAuthor,
  line: Line,
  sequence: bigint,
  counter = sequence + 100n,
): FixtureRelease {
  const release = fixtureRelease(author, line, sequence);
  ledger.apply(release.statement, release.attachment);
  ledger.apply(fixtureAnchor(author, counter, release));
  for (const node of network.nodes.slice(-3)) {
    const hold = { line, release: release.digest, image: release.image.digest, until: 1 << 20 };
    const next = getNodeCounter(ledger.view, node.name) + 1n;
    ledger.apply(holdStatement(node, network.genesis.networkId, next, hold));
  }
  return release;
}
