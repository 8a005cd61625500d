/** Download of an image from a node, every block checked by it, beside a plain file server over node:https. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { imagePath } from '../src/api/retrieval.ts';
import { readNodeConfig } from '../src/node/config.ts';
import { startBareServer } from './support/bare-server.ts';
import { benchAuthor } from './support/bench-author.ts';
import { startBenchNetwork } from './support/bench-network.ts';
import type { BenchOptions, Row } from './support/row.ts';

const MIB = 1 << 20;
const ROUNDS = 3;

export async function rows(options: BenchOptions): Promise<readonly Row[]> {
  await using network = await startBenchNetwork({ operators: 1 });
  await using author = await benchAuthor(network);
  const folder = join(network.folder, 'files');
  mkdirSync(folder);
  await using bare = await startBareServer(
    readNodeConfig(network.config(network.plan.orderer)).keys,
    folder,
  );
  const found: Row[] = [];
  for (const size of options.quick ? [2] : [16, 256]) {
    const image = new Uint8Array(randomBytes(size * MIB));
    options.say(`publishing an image of ${size} MiB`);
    await (await author.build(image, `1.0.${size}`)).publish(false);
    writeFileSync(join(folder, `${size}`), image);
    const path = imagePath(sha256(image));
    const ours: number[] = [];
    const others: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      others.push(await download(bare.port, `/${size}`, image.length));
      ours.push(await download(network.port, path, image.length));
    }
    const [node, plain] = [Math.max(...ours), Math.max(...others)];
    const note = `node:https client in one process, bytes counted and dropped; best of ${ROUNDS} in turns`;
    found.push(
      { name: `download of ${size} MiB`, value: node / MIB, unit: 'MiB/s', note },
      { name: '  plain node:https file server', value: plain / MIB, unit: 'MiB/s' },
      { name: '  ratio', value: node / plain, unit: '', aim: { atLeast: 0.6 } },
    );
  }
  return found;
}

/** Bytes a second. */
async function download(port: number, path: string, expected: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const began = performance.now();
  request(
    { host: '127.0.0.1', port, path, rejectUnauthorized: false, agent: false },
    (response) => {
      let received = 0;
      response.on('data', (part: Uint8Array) => (received += part.length));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode !== 200 || received !== expected)
          reject(new Error(`${path}: ${response.statusCode}, ${received} of ${expected} bytes`));
        else resolve((received / (performance.now() - began)) * 1000);
      });
    },
  )
    .on('error', reject)
    .end();
  return promise;
}
