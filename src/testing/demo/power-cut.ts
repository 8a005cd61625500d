/** The power goes in the middle of an install, three times. */
import { slowImage } from '../tricks.ts';
import { AUTHORS_NODE } from './members.ts';
import { deviceNamed, VICTIM, type Loot, type Stage } from './stage.ts';

/** Shares of the image that are there when the power goes: at 1 the new image is about to boot. */
const CUTS = [0.3, 0.7, 1];
const PARTS = 40;
const PART_MS = 50;

export async function powerCut(stage: Stage, { attacker }: Loot): Promise<void> {
  const { rows, screen } = stage;
  screen.say(`${VICTIM} comes out of its drawer, on a slow line; its plug is loose.`, 'title');
  const device = deviceNamed(stage, VICTIM);
  attacker.play(slowImage(PARTS, PART_MS));
  for (const share of CUTS) {
    const what =
      share === 1 ? 'power cut before the new image boots' : `power cut at ${share * 100} %`;
    const expected = share === 1 ? 'boots 1.0.0 or 2.0.0' : 'boots 1.0.0';
    const held = await rows.judge(what, expected, [device], async () => {
      if (!device.isOn) await device.start(AUTHORS_NODE);
      await device.hasReceived(share);
      await device.cutPower();
      await device.start(AUTHORS_NODE);
      const { version } = device.running;
      const ok = version === '1.0.0' || (share === 1 && version === '2.0.0');
      return { seen: version === '' ? 'boots nothing' : `boots ${version}`, ok };
    });
    if (!held) return;
  }
  const what = `${VICTIM} goes on where it was`;
  await rows.judge(what, 'runs 2.0.0, the true image', [device], async () => {
    await device.runs('2.0.0', 30_000);
    const whole = device.slotDigest() === stage.images.of('lamp', '2.0.0').sha256;
    // From here on it asks every node, as the others do.
    await device.cutPower();
    await device.start();
    return `runs 2.0.0, ${whole ? 'the true image' : 'another image'}`;
  });
}
