import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fixtureNetwork } from '../testing/fixture.ts';
import { declaration, dumped, openedReplica, registeredAuthor } from '../testing/ledger-fixture.ts';

const KILLS = 20;
const CHILD = join(import.meta.dirname, 'orderer.child.ts');
const folder = mkdtempSync(join(tmpdir(), 'firmament-crash-'));
after(() => rmSync(folder, { recursive: true }));

const network = fixtureNetwork({ operators: 1 });
const { author } = registeredAuthor(network, 'acme');

/** Runs the orderer, kills it `delay` ms after it is ready, and returns what it acknowledged by then. */
async function killedRun(path: string, delay: number): Promise<readonly string[]> {
  const child = spawn(process.execPath, [CHILD, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let output = '';
  const ready = Promise.withResolvers<void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (output.includes('\n')) ready.resolve();
  });
  child.stdout.on('close', () => ready.resolve());
  await ready.promise;
  await sleep(delay);
  child.kill('SIGKILL');
  await exited;
  // The last line may be cut: then nobody was told.
  return output.split('\n').slice(1, -1);
}

test(
  `an orderer killed ${KILLS} times loses nothing that it acknowledged`,
  { timeout: 120_000 },
  async () => {
    const path = join(folder, 'ledger.db');
    const acknowledged: string[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      acknowledged.push(...(await killedRun(path, Math.random() * 120)));
      const { database, replica } = openedReplica(network, path);
      // Every block is whole: statements, log, map and state as a fresh replica derives them.
      const fresh = openedReplica(network);
      const { height } = replica.head();
      for (let next = 1; next <= height; next++) fresh.replica.append(replica.block(next));
      assert.equal(dumped(database), dumped(fresh.database), `after kill ${kill}`);
      for (const line of acknowledged) {
        const [at, index, model] = line.split(' ').map(Number);
        const { signingDigest } = declaration(author, model ?? 0).statement;
        assert.deepEqual(replica.find(signingDigest), { height: at, index, known: true }, line);
      }
      database.close();
    }
    assert.ok(acknowledged.length > KILLS, `${acknowledged.length} acknowledged`);
  },
);
