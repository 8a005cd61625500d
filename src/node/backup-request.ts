/** A backup as a command asks for it: of the node that runs, or of its files when it does not. */
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { decodeBackedUp, encodeBackupRequest, OWN_BACKUP, type BackedUp } from '../api/own.ts';
import { openDatabase } from '../database.ts';
import { codeOf } from '../errors.ts';
import { openReplica } from '../ledger/replica.ts';
import { createClient } from '../net/client.ts';
import { spkiSha256 } from '../net/tls.ts';
import { parseGenesis } from '../registry/genesis.ts';
import { writeBackup } from './backup.ts';
import { readNodeKeys, type NodeConfig } from './config.ts';

/** `directory`: absolute. Errors: NODE_BACKUP_*, DATABASE_LOCKED when something else has the data open, NET_*. */
export async function requestBackup(config: NodeConfig, directory: string): Promise<BackedUp> {
  try {
    return await askRunning(config, directory);
  } catch (error) {
    if (codeOf(error) !== 'NET_UNREACHABLE') throw error;
    return copyResting(config, directory);
  }
}

const HOURS = 6 * 3600 * 1000;

async function askRunning(config: NodeConfig, directory: string): Promise<BackedUp> {
  const { tls } = readNodeKeys(config.keys);
  const { host, port } = config.listen;
  const anywhere = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host;
  await using client = createClient({ pins: spkiSha256(tls.certificatePem), credentials: tls });
  const { body } = await client.request({
    method: 'POST',
    url: `https://${anywhere}:${port}${OWN_BACKUP}`,
    headers: { 'content-type': 'application/cbor' },
    body: encodeBackupRequest(directory),
    maxBytes: 1024,
    timeoutMs: HOURS,
  });
  return decodeBackedUp(body);
}

async function copyResting(config: NodeConfig, directory: string): Promise<BackedUp> {
  await using ledger = openDatabase(join(config.data, 'ledger.db'));
  await using node = openDatabase(join(config.data, 'node.db'));
  const genesis = parseGenesis(new Uint8Array(readFileSync(config.genesis)));
  return await writeBackup(
    { config, replica: openReplica(ledger, genesis), ledger, node },
    directory,
  );
}
