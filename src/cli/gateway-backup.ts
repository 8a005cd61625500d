/** `firmament gateway backup` and `restore`. */
import { copyFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { openDatabase } from '../database.ts';
import { codeOf } from '../errors.ts';
import { restoreBackup, SNAPSHOT, writeBackup, type GatewayBackup } from '../gateway/backup.ts';
import { readGatewayConfig } from '../gateway/config.ts';
import { answer, onlyPositional, readArguments } from './arguments.ts';
import { systemClock } from './author-session.ts';
import { call } from './gateway-call.ts';
import type { Io } from './io.ts';

/** Of the gateway that runs, or of its data when none does. */
export async function backup(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['config']);
  const directory = resolve(onlyPositional(given, 'folder'));
  const config = readGatewayConfig(given.required('config'));
  const made = await writeBackup(config.data, directory, systemClock(), async (path) => {
    const snapshot = join(config.data, SNAPSHOT);
    try {
      await call(given, 'POST', '/v1/snapshot', {});
      await copyFile(snapshot, path);
    } catch (error) {
      if (codeOf(error) !== 'NET_UNREACHABLE') throw error;
      await using database = openDatabase(join(config.data, 'gateway.db'));
      await database.copyTo(path);
    } finally {
      await rm(snapshot, { force: true });
    }
  });
  answer(io, given, [`${directory}: ${described(made)}; keep it secret`], { directory, ...made });
}

/** Into a data folder that is not there. */
export async function restore(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['config']);
  const directory = onlyPositional(given, 'folder');
  const config = readGatewayConfig(given.required('config'));
  const made = await restoreBackup(config, directory, systemClock());
  const said = `${config.data}: ${described(made)}; revoke again what was revoked since`;
  answer(io, given, [said], { data: config.data, ...made });
}

function described({ made, devices, images }: GatewayBackup): string {
  return `${devices} devices, ${images} images, of ${new Date(made * 1000).toISOString()}`;
}
