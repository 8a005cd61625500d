/** Validators die: with f of them gone all goes on, with f + 1 nothing is ordered, and nothing is lost (T31). */
import { nothingLost } from './hand-over.ts';
import { sampleImage } from './images.ts';
import { APPOINTED as SECOND, ORDERER as FIRST, OTHER_NODE } from './members.ts';
import { rogueAuthor } from '../rogue-author.ts';
import { household, releaseOf, type Stage } from './stage.ts';
import { until } from './waiting.ts';

const FRESH_MS = 20_000;
const ORDERED_MS = 30_000;
const MODEL = 'fan';
const SIZE = 64 * 1024;

/** Answers whether everything held. */
export async function validatorsDie(stage: Stage): Promise<boolean> {
  return (
    (await oneDies(stage)) &&
    (await publishedByThree(stage)) &&
    (await secondDies(stage)) &&
    (await unordered(stage)) &&
    (await secondReturns(stage)) &&
    (await firstReturns(stage)) &&
    (await nothingLost(stage))
  );
}

async function oneDies(stage: Stage): Promise<boolean> {
  const { network, rows, screen, signal } = stage;
  screen.say(`${FIRST}, one of the four that vote on the order, dies.`, 'title');
  const rest = network.nodes.filter(({ name }) => name !== FIRST);
  return rows.judge(`SIGKILL ${FIRST}`, 'three cosign on', rest, async () => {
    await network.cosigned(signal);
    await network.kill(FIRST);
    await network.cosigned(signal);
    return 'three cosign on';
  });
}

function publishedByThree({ author, folder, network, rows }: Stage): Promise<boolean> {
  const expected = 'three receipts verified';
  return rows.judge('publishing with three of four', expected, network.nodes, async () => {
    const { file } = sampleImage(folder, MODEL, '1.0.0', SIZE);
    const before = author.acknowledged.length;
    await author.publish(file, MODEL, '1.0.0', {}, false);
    return author.acknowledged.length === before + 3 ? expected : 'fewer receipts';
  });
}

function secondDies(stage: Stage): Promise<boolean> {
  const { network, rows, screen } = stage;
  screen.say(`${SECOND} dies too: two of four are more than one may be at fault.`, 'title');
  const devices = household(stage);
  const expected = 'four devices run 1.0.0, fresh';
  return rows.judge(`SIGKILL ${SECOND}`, expected, devices, async () => {
    await network.kill(SECOND);
    await Promise.all(devices.map((device) => device.runs('1.0.0', FRESH_MS)));
    return expected;
  });
}

/** Another author registers now: nobody orders it, and a node keeps it. */
function unordered(stage: Stage): Promise<boolean> {
  const { network, rows } = stage;
  const { line } = releaseOf(stage, 'lamp', '1.0.0');
  const { enrolment } = rogueAuthor(network.root.networkId, line);
  const what = 'publishing with two of four';
  return rows.judge(what, '503 LEDGER_UNORDERED', network.nodes, () => network.attempt(enrolment));
}

function secondReturns(stage: Stage): Promise<boolean> {
  const { network, rows, screen, signal } = stage;
  screen.say(`${SECOND} comes back: three of four.`, 'title');
  const expected = 'ordered without being sent again';
  return rows.judge('what was kept meanwhile', expected, network.nodes, async () => {
    const before = network.node(OTHER_NODE).size;
    await network.restart(SECOND);
    await until('a block', ORDERED_MS, signal, async () => {
      await network.look();
      return network.node(OTHER_NODE).size > before || undefined;
    });
    await network.cosigned(signal);
    return expected;
  });
}

function firstReturns({ network, rows, signal }: Stage): Promise<boolean> {
  const expected = 'catches up, all four cosign';
  return rows.judge(`${FIRST} comes back`, expected, network.nodes, async () => {
    await network.restart(FIRST);
    await network.cosigned(signal);
    return expected;
  });
}
