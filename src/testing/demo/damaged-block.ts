/** Somebody changes a block of the image in a node's store. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { equal } from '../../bytes.ts';
import { cidText, rawCid } from '../../store/cid.ts';
import { describeImage } from '../../store/unixfs.ts';
import { ARCHIVE_NODE } from './members.ts';
import { LATECOMER, type Stage } from './stage.ts';

export async function damagedBlock(stage: Stage): Promise<void> {
  const { rows, screen, network, images } = stage;
  screen.say(`Somebody changes a block on the disk of ${ARCHIVE_NODE}.`, 'title');
  const node = network.node(ARCHIVE_NODE);
  const device = await stage.ship(LATECOMER, 'lamp');
  const image = images.of('lamp', '2.0.0');
  const expected = 'true image installed, block gathered anew';
  await rows.judge('tampered block in a store', expected, [device, node], async () => {
    const [digest] = (await describeImage(readFileSync(image.file))).chunks;
    if (!digest) return 'no block';
    const file = blockFile(node.blocks, digest);
    const bytes = readFileSync(file);
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] as number) ^ 1;
    writeFileSync(file, bytes);
    // The node that was tampered with is the only one that is asked.
    await device.poll(ARCHIVE_NODE);
    if (device.running.version !== '2.0.0') return `it runs ${device.running.version}`;
    if (device.slotDigest() !== image.sha256) return 'another image is in the slot';
    const healed = equal(sha256(readFileSync(file)), digest);
    return healed ? expected : 'true image installed, block still damaged';
  });
}

function blockFile(blocks: string, digest: Uint8Array): string {
  const name = digest.toHex();
  return join(blocks, name.slice(0, 1), name.slice(1, 2), cidText(rawCid(digest)));
}
