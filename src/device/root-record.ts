/**
 * The root that the device pins now (T08): the provisioned one, or a later one that operators' signatures led to. It only
 * goes forward (docs/spec/device.md, "root").
 */
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { concat, equal } from '../bytes.ts';
import { check, codeOf, fail } from '../errors.ts';
import { parseRoot, type Root } from '../registry/root.ts';
import { diskFiles, type Files } from '../reader/files.ts';
import type { PinnedRoot } from '../reader/follow-policies.ts';

const NAME = 'root';
const MAX_BYTES = 1 << 20;

/**
 * Opens the root kept in `directory`; the provisioned one is the least that it can be.
 * Errors: DEVICE_STATE_CORRUPT.
 */
export async function openPinnedRoot(options: {
  readonly directory: string;
  readonly provisioned: Root;
  readonly files?: Files;
}): Promise<PinnedRoot> {
  const { directory, provisioned, files = diskFiles } = options;
  await files.makeFolder(directory);
  const kept = await readRoot(files, directory);
  let root = kept === undefined ? provisioned : newerOf(provisioned, kept);
  return {
    get root() {
      return root;
    },
    async advance(next) {
      const forward = next.policy.version > root.policy.version;
      check(forward && equal(next.networkId, root.networkId), 'DEVICE_STATE_ROLLBACK', 'the root');
      await writeRoot(files, directory, next);
      root = next;
    },
  };
}

function newerOf(provisioned: Root, kept: Root): Root {
  const { version } = kept.policy;
  check(
    equal(kept.networkId, provisioned.networkId),
    'DEVICE_STATE_CORRUPT',
    'a root of another network',
  );
  check(
    version !== provisioned.policy.version || equal(kept.hash, provisioned.hash),
    'DEVICE_STATE_CORRUPT',
    'another root of the provisioned version',
  );
  return version > provisioned.policy.version ? kept : provisioned;
}

async function readRoot(files: Files, directory: string): Promise<Root | undefined> {
  const path = join(directory, NAME);
  const size = await files.size(path);
  if (size === undefined) return undefined;
  check(size > 32 && size <= MAX_BYTES, 'DEVICE_STATE_CORRUPT', 'the root has an impossible size');
  const bytes = await files.read(path, 0, size);
  const root = bytes.slice(32);
  check(
    equal(sha256(root), bytes.subarray(0, 32)),
    'DEVICE_STATE_CORRUPT',
    'the check value of the root',
  );
  try {
    return parseRoot(root);
  } catch (cause) {
    if (!codeOf(cause)) throw cause;
    return fail('DEVICE_STATE_CORRUPT', 'the root is not readable', {}, cause);
  }
}

async function writeRoot(files: Files, directory: string, root: Root): Promise<void> {
  const fresh = join(directory, `${NAME}.new`);
  await files.remove(fresh);
  await files.write(fresh, 0, concat(root.hash, root.bytes));
  await files.sync(fresh);
  await files.rename(fresh, join(directory, NAME));
  await files.syncFolder(directory);
}
