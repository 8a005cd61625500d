/** A thief has the author's release key, and would like to have the author (T01, T02). */
import { rotationByThief } from '../rogue-author.ts';
import { linkInserted } from '../tricks.ts';
import { refused } from './refused.ts';
import type { Loot, Stage } from './stage.ts';
import { registered } from './test-build.ts';

export async function stolenKey(stage: Stage, loot: Loot): Promise<void> {
  const { author, network, screen } = stage;
  screen.say("A thief has Acme's release key, and rotates to one of its own.", 'title');
  const statement = rotationByThief(await author.releaseKey(), network.root.networkId);
  const what = 'a thief with the release key rotates it';
  await registered(stage, what, { statement, attachment: null }, 'STATEMENT_SIGNER_UNKNOWN');
  const link = linkInserted(statement);
  await refused(stage, loot, 'the same rotation, shown to a device', link, 'TRUST_LINK_INVALID');
}
