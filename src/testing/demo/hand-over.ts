/** The orderer dies; its network goes on under another one, which the operators appoint (T12). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { equal } from '../../bytes.ts';
import { parseRoot } from '../../registry/root.ts';
import { rogueAuthor } from '../rogue-author.ts';
import { APPOINTED, ORDERER } from './members.ts';
import { household, releaseOf, type Stage } from './stage.ts';
import { until } from './waiting.ts';

const APPROVERS = ['acme', 'birch', 'city'] as const;
const FOLLOW_MS = 20_000;

/** Answers whether everything held. */
export async function ordererDies(stage: Stage): Promise<boolean> {
  return (
    (await killed(stage)) &&
    (await unordered(stage)) &&
    (await appointed(stage)) &&
    (await comesBack(stage)) &&
    (await nothingLost(stage)) &&
    (await devicesFollow(stage))
  );
}

function killed(stage: Stage): Promise<boolean> {
  const { network, rows, screen, signal } = stage;
  screen.say(`${ORDERER}, which puts statements in order, dies.`, 'title');
  const devices = household(stage);
  const expected = 'four devices run 1.0.0, fresh';
  return rows.judge(`SIGKILL ${ORDERER}`, expected, devices, async () => {
    await network.cosigned(signal);
    await network.kill(ORDERER);
    await Promise.all(devices.map((device) => device.runs('1.0.0', FOLLOW_MS)));
    return expected;
  });
}

function unordered(stage: Stage): Promise<boolean> {
  const { network, rows } = stage;
  const { line } = releaseOf(stage, 'lamp', '1.0.0');
  const { enrolment } = rogueAuthor(network.root.networkId, line);
  const expected = '503 NODE_ORDERER_UNREACHABLE';
  return rows.judge('publishing meanwhile', expected, network.nodes, () =>
    network.attempt(enrolment),
  );
}

function appointed(stage: Stage): Promise<boolean> {
  const { network, rows, screen, commands, folder } = stage;
  screen.say(`The operators ${APPROVERS.join(', ')} appoint ${APPOINTED}, each by its own key.`);
  const proposal = join(folder, 'orderer.json');
  const signedBy = (operator: string): readonly string[] => {
    return [proposal, '--operator', operator, '--key', network.governanceKey(operator)];
  };
  const expected = `policy 2 is in force, ${APPOINTED} orders`;
  return rows.judge('three operators appoint another', expected, network.nodes, async () => {
    const what = ['--root', network.rootFile, '--orderer', APPOINTED, '--out', proposal];
    await commands.answer(['policy', 'propose', ...what]);
    for (const operator of APPROVERS)
      await commands.answer(['policy', 'approve', ...signedBy(operator)]);
    const { version } = await commands.answer(['policy', 'submit', ...signedBy(APPROVERS[0])]);
    network.orderers = [APPOINTED];
    return `policy ${String(version)} is in force, ${APPOINTED} orders`;
  });
}

function comesBack(stage: Stage): Promise<boolean> {
  const { network, rows, signal } = stage;
  const expected = 'follows, all four cosign';
  return rows.judge(`${ORDERER} comes back`, expected, network.nodes, async () => {
    await network.restart(ORDERER);
    await network.cosigned(signal);
    return expected;
  });
}

/** To be asked of a node that was gone meanwhile, or took over. */
export function nothingLost(stage: Stage): Promise<boolean> {
  const { network, rows, author } = stage;
  const { acknowledged } = author;
  const expected = `${acknowledged.length} of ${acknowledged.length} at their places`;
  const what = 'what was acknowledged before';
  return rows.judge(what, expected, [network.node(APPOINTED)], async () => {
    const last = Math.max(...acknowledged.map(({ index }) => index));
    const entries = await network.entries(APPOINTED, last + 1);
    const found = acknowledged.filter(({ index, entry }) => {
      const there = entries[index];
      return there !== undefined && equal(there, entry);
    });
    return `${found.length} of ${acknowledged.length} at their places`;
  });
}

function devicesFollow(stage: Stage): Promise<boolean> {
  const { rows, signal } = stage;
  const devices = household(stage);
  const expected = 'all pin policy 2, fresh';
  return rows.judge('devices follow the operators', expected, devices, async () => {
    for (const { name, folder } of devices)
      await until(
        `${name} to follow`,
        FOLLOW_MS,
        signal,
        () => versionIn(folder) === 2 || undefined,
      );
    await Promise.all(devices.map((device) => device.runs('1.0.0', FOLLOW_MS)));
    return expected;
  });
}

/** To be asked once the author has published under the other orderer. */
export function authorFollows({ rows, author }: Stage): Promise<boolean> {
  return rows.judge("the author's tools have followed too", 'pin policy 2', [], async () => {
    return `pin policy ${await author.policyVersion()}`;
  });
}

/** Of the policy that a device has moved on to; undefined while it is the one that it was made with. */
function versionIn(folder: string): number | undefined {
  try {
    // docs/spec/device.md: a check value of 32 bytes, then the root.
    const bytes = new Uint8Array(readFileSync(join(folder, 'state', 'root')));
    return parseRoot(bytes.slice(32)).policy.version;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
