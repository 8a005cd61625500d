/** Which CometBFT binary runs: the one that is named, the project's own, or one on the path; of a version that is tested. */
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { check, fail } from '../../errors.ts';

/** Newest first. Both run the same chains; neither takes part in one that the other could not. */
export const VERSIONS = ['0.39.4', '0.38.26'] as const;
const INSTALL = 'scripts/install-cometbft gets it';

export interface BinaryOptions {
  /** A path that somebody named: no other is tried. */
  readonly named?: string | undefined;
  /** The project's own folder. */
  readonly project: string;
  /** The value of PATH. */
  readonly path?: string | undefined;
}

/** Path of a binary whose version was checked. Errors: ENGINE_BINARY_MISSING, ENGINE_BINARY_VERSION. */
export async function findBinary(options: BinaryOptions): Promise<string> {
  const { named, project, path } = options;
  if (named !== undefined && named !== '') {
    await checkVersion(named);
    return named;
  }
  for (const version of VERSIONS) {
    const own = join(project, '.firmament', 'bin', `cometbft-v${version}`);
    if (!(await isExecutable(own))) continue;
    await checkVersion(own);
    return own;
  }
  for (const folder of (path ?? '').split(':').filter((each) => each !== '')) {
    const found = join(folder, 'cometbft');
    if (!(await isExecutable(found))) continue;
    await checkVersion(found);
    return found;
  }
  return fail('ENGINE_BINARY_MISSING', `no CometBFT binary: ${INSTALL}`);
}

/** The binary's version. Errors: ENGINE_BINARY_MISSING, ENGINE_BINARY_VERSION. */
export async function checkVersion(binary: string): Promise<string> {
  let answer: string;
  try {
    const { stdout } = await promisify(execFile)(binary, ['version'], {
      timeout: 20_000,
      maxBuffer: 4096,
      env: {},
    });
    answer = stdout.trim().slice(0, 64);
  } catch (cause) {
    return fail('ENGINE_BINARY_MISSING', `${binary} does not run: ${INSTALL}`, { binary }, cause);
  }
  const version = /^v?(\d+\.\d+\.\d+)(?:[+-][0-9A-Za-z.+-]*)?$/.exec(answer)?.[1];
  check(
    version !== undefined && VERSIONS.some((each) => each === version),
    'ENGINE_BINARY_VERSION',
    `${binary} is CometBFT ${answer}, not one of ${VERSIONS.join(', ')}: ${INSTALL}`,
    { binary, version: answer },
  );
  return version;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
