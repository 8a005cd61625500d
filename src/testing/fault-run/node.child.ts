/** A node whose clock is told by a file, and which may deviate. Arguments as those of the command: node start CONFIG. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { privateKey } from '#crypto';
import { jsonLogger } from '../../cli/json-logger.ts';
import { untilStopped } from '../../cli/until-stopped.ts';
import type { PrivateKey } from '../../crypto/key.ts';
import type { NamedCosignature } from '../../api/peer.ts';
import type { CosigningParts } from '../../node/cosigning.ts';
import { formatCheckpoint } from '../../log/checkpoint.ts';
import { signCosignature } from '../../log/cosignature.ts';
import { edited, EDITS, type Deviation } from './deviations.ts';

const SRC = join(import.meta.dirname, '../..');
const LOOK_MS = 100;
/** Blocks that are right before the first wrong one. */
const RIGHT = 3;

const { FIRMAMENT_DEVIATION: deviation, FIRMAMENT_CONTROL: control = '' } = process.env;
let cosigner: PrivateKey = privateKey('Ed25519', new Uint8Array(32).fill(1));
let blocks = 0;
/** What was proposed and, for the most part, ordered. */
const seen: Uint8Array[] = [];

/** What the edits call. */
const deviant = {
  appHash(right: Uint8Array): Uint8Array {
    return blocks++ < RIGHT ? right : right.map((byte) => byte ^ 1);
  },
  // Every second node is told of another root of the same size, and of one of a size that is to come.
  equivocate({ size, name, time }: NamedCosignature, { peers, replica }: CosigningParts): void {
    const root = new Uint8Array(randomBytes(32));
    for (const [i, peer] of peers.others().entries()) {
      const claimed = i % 2 === 0 ? size : size + 1_000_000;
      const checkpoint = formatCheckpoint({ origin: replica.origin, size: claimed, root });
      const { signature } = signCosignature(cosigner, name, checkpoint, time);
      peers
        .tellCosignature(peer, { size: claimed, root, name, time, signature })
        .catch(() => undefined);
    }
  },
  // Nothing at all, what is ordered already, or a signature that is none: its last byte is the group's but for a null.
  garbage(taken: readonly Uint8Array[]): readonly Uint8Array[] {
    const [first = new Uint8Array(randomBytes(2000))] = seen;
    const garbage = [
      new Uint8Array(randomBytes(1 + Math.floor(Math.random() * 2000))),
      first,
      first.map((byte, i) => (i === first.length - 2 ? byte ^ 1 : byte)),
    ];
    seen.push(...taken);
    seen.splice(0, seen.length - 8);
    return [...taken, garbage[Math.floor(Math.random() * garbage.length)] as Uint8Array];
  },
};
Object.assign(globalThis, { deviant });

if (deviation !== undefined) {
  const edits = new Map(
    EDITS[deviation as Deviation].map((edit) => [pathToFileURL(join(SRC, edit.file)).href, edit]),
  );
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      const edit = edits.get(url);
      if (!edit) return loaded;
      return { ...loaded, source: edited(readFileSync(new URL(url), 'utf8'), edit) };
    },
  });
}

// After the hooks, which see only what is loaded later.
const { readNodeConfig, readNodeKeys } = await import('../../node/config.ts');
const { startNode } = await import('../../node/node.ts');

let ahead = 0;
const look = (): void => {
  try {
    ahead = Number(readFileSync(control, 'utf8')) || 0;
  } catch {
    ahead = 0;
  }
};
look();
const timer = setInterval(look, LOOK_MS);

const config = readNodeConfig(process.argv[4] ?? '');
const keys = readNodeKeys(config.keys);
({ cosigner } = keys);
{
  await using node = await startNode(config, keys, {
    clock: () => Math.floor(Date.now() / 1000) + ahead,
    logger: jsonLogger({
      stdout: () => undefined,
      stderr: (line) => void process.stderr.write(`${line}\n`),
    }),
    programs: { named: process.env['FIRMAMENT_COMETBFT'], path: process.env['PATH'] },
  });
  const stopped = untilStopped();
  process.stdout.write(`${JSON.stringify({ node: config.node, port: node.port })}\n`);
  await stopped;
}
clearInterval(timer);
