/** The second half of the demo: what a thief of a node's keys, and others, try in vain. */
import { randomBytes } from 'node:crypto';
import { privateKey } from '#crypto';
import { fromHex } from '../../bytes.ts';
import { decodeLatest, encodeLatest } from '../../api/retrieval.ts';
import { codeOf } from '../../errors.ts';
import { rogueAuthor } from '../rogue-author.ts';
import {
  changedEnvelope,
  digestOfMalware,
  envelopeInstead,
  forgedImage,
  forgeEnvelope,
  latestInstead,
} from '../tricks.ts';
import { damagedBlock } from './damaged-block.ts';
import { fork } from './fork.ts';
import { AUTHORS_NODE, OTHER_NODE } from './members.ts';
import { powerCut } from './power-cut.ts';
import { refused } from './refused.ts';
import { stolenKey } from './stolen-key.ts';
import { testBuild } from './test-build.ts';
import { until } from './waiting.ts';
import { household, releaseOf, type Loot, type Stage } from './stage.ts';

/** Tries everything, one after the other, whatever held before. */
export async function attack(stage: Stage, taken: Omit<Loot, 'attacker'>): Promise<void> {
  const { network, screen, cleanup } = stage;
  screen.say(`A thief has the TLS key of ${AUTHORS_NODE} and answers in its place.`, 'title');
  const attacker = cleanup.use(await network.takeOver(AUTHORS_NODE));
  const loot: Loot = { ...taken, attacker };
  const image = fromHex(stage.images.of('lamp', '2.0.0').sha256);
  const thief = privateKey('P-256', new Uint8Array(randomBytes(32)));
  const forge = (envelope: Uint8Array): Uint8Array =>
    forgeEnvelope(envelope, { from: image, to: digestOfMalware() }, thief);

  await refused(stage, loot, 'forged image', forgedImage, 'DEVICE_DOWNLOAD_MISMATCH');
  await refused(stage, loot, 'forged manifest', changedEnvelope(forge), 'SUIT_SIGNATURE_INVALID');
  const old = envelopeInstead(loot.oldEnvelope);
  await refused(stage, loot, 'old release replayed (1.0.0, truly signed)', old, 'TRUST_NOT_NEWEST');
  if (await withdrawn(stage))
    await refused(stage, loot, 'withdrawn release (1.0.0 again)', old, 'TRUST_WITHDRAWN');
  const stale = latestInstead(loot.staleLatest);
  await refused(stage, loot, 'stale head, from before 2.0.0', stale, 'TRUST_HEAD_ROLLBACK');
  await damagedBlock(stage);
  await foreignLine(stage, loot);
  await testBuild(stage);
  await stolenKey(stage, loot);
  await powerCut(stage, loot);
  await fork(stage, loot);
  await unmoved(stage, loot);
}

async function withdrawn(stage: Stage): Promise<boolean> {
  const { author, rows, screen, network } = stage;
  screen.say('Acme withdraws 1.0.0: nothing below 2.0.0 may be installed any more.', 'title');
  const lowest = releaseOf(stage, 'lamp', '2.0.0').sequence;
  const node = network.node(OTHER_NODE);
  return rows.judge('lamp 1.0.0 is withdrawn', 'withdrawn, receipt verified', [node], async () => {
    const { status } = await author.withdraw(releaseOf(stage, 'lamp', '1.0.0'), lowest);
    return `${String(status)}, receipt verified`;
  });
}

async function foreignLine(stage: Stage, loot: Loot): Promise<void> {
  const { network, rows, screen } = stage;
  screen.say("Another author registers and reaches for Acme's line.", 'title');
  const { line } = releaseOf(stage, 'lamp', '2.0.0');
  const rogue = rogueAuthor(network.root.networkId, line);
  const node = network.node(OTHER_NODE);
  const enrolled = await rows.judge(
    "another author publishes on Acme's line",
    'LINE_FOREIGN',
    [node],
    async () => {
      await network.register(rogue.enrolment);
      return network.register(rogue.intrusion).then(
        () => 'registered',
        (error: unknown) => codeOf(error) ?? String(error),
      );
    },
  );
  if (!enrolled) return;
  const own = decodeLatest(await network.latest(rogue.line));
  // As if it were about the line that was asked for.
  const passedOff = latestInstead(encodeLatest({ ...own, line }));
  const what = "the proof of the other author's own line";
  await refused(stage, loot, what, passedOff, 'LOG_COSIGNATURE_INVALID');
}

/** The household asks the thief as well, as one node of several. */
async function unmoved(stage: Stage, { attacker, staleLatest }: Loot): Promise<void> {
  const { rows, screen, signal } = stage;
  screen.say('The four others, which ask all nodes in turn, meet the thief.', 'title');
  const devices = household(stage);
  const expected = 'all refuse it, run 2.0.0, fresh';
  await rows.judge('a stale head among true ones', expected, devices, async () => {
    attacker.play(latestInstead(staleLatest));
    for (const { name, refused: codes } of devices)
      await until(`${name} to meet the thief`, 15_000, signal, () => codes.length > 0 || undefined);
    await Promise.all(devices.map((device) => device.runs('2.0.0', 15_000)));
    return expected;
  });
}
