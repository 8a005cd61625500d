import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '#crypto';
import { hex } from '../bytes.ts';
import { openRepository } from './repository.ts';

test('a part that is gone since the folder was read stops no other image', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'firmament-repository-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const repository = await openRepository({ directory, limit: 1 << 20 });
  // Listed, and not there when it is looked at: as one that another download gave its name just then.
  symlinkSync(join(directory, 'nowhere'), join(directory, `${'0'.repeat(64)}.part`));
  const image = new Uint8Array(1000).fill(7);
  const name = hex(sha256(image));
  const source = {
    name: 'node',
    async *read(offset: number, length: number) {
      yield image.subarray(offset, offset + length);
    },
  };
  const keep = (): ReadonlySet<string> => new Set();
  await repository.fetch({ sha256: name, size: image.length }, { sources: [source], keep });
  assert.ok(await repository.has(name));
});
