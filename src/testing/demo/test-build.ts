/** Somebody finds a test build, signed by its author for its own bench, and tries to publish it (T04). */
import { readFile } from 'node:fs/promises';
import { codeOf } from '../../errors.ts';
import type { RawTransaction } from '../../registry/block.ts';
import { parseEnvelope } from '../../suit/envelope.ts';
import { attachmentOf, statementOf } from '../../suit/transparent.ts';
import { withNetwork } from '../tricks.ts';
import { OTHER_NODE } from './members.ts';
import type { Stage } from './stage.ts';

export async function testBuild(stage: Stage): Promise<void> {
  const { author, images, network, screen } = stage;
  screen.say("Somebody finds a test build of Acme's, truly signed, and publishes it.", 'title');
  const file = await author.buildForTests(images.of('lamp', '2.0.0').file, 'lamp', '2.1.0-rc.1');
  const envelope = parseEnvelope(new Uint8Array(await readFile(file)));
  const attachment = attachmentOf(envelope);
  const statement = statementOf(envelope);
  const found = 'a test build, published by its finder';
  await registered(stage, found, { statement, attachment }, 'STATEMENT_NETWORK');
  const consent = withNetwork(statement, network.root.networkId);
  const forged = "the same, with Acme's consent written into it";
  await registered(stage, forged, { statement: consent, attachment }, 'COSE_SIGNATURE_INVALID');
}

/** A node is given the statement, and refuses it with this code. */
export function registered(
  { network, rows }: Stage,
  what: string,
  transaction: RawTransaction,
  code: string,
): Promise<boolean> {
  return rows.judge(what, code, [network.node(OTHER_NODE)], () =>
    network.register([transaction]).then(
      () => 'registered',
      (error: unknown) => codeOf(error) ?? String(error),
    ),
  );
}
