/** Which reports are kept for whom: only for authors whose report key the owner gave, of lines that are still theirs (T25). */
import { hex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import type { PublicKey } from '../crypto/key.ts';
import { lineText } from '../registry/line.ts';
import { encodeRecord, SALT_BYTES } from '../reports/record.ts';
import type { NetworkConfig } from './config-lines.ts';
import type { InboxParts } from './inbox.ts';
import type { Kept } from './kept.ts';
import type { RecordOwner } from './report-records.ts';

/** By author id in hex; of several lines of one author the last one's key. */
export function reportKeysOf({ lines }: NetworkConfig): ReadonlyMap<string, PublicKey> {
  const found = lines.flatMap(({ line, reportKey }): [string, PublicKey][] =>
    reportKey ? [[hex(line.author), reportKey]] : [],
  );
  return new Map(found);
}

/** For the inbox: within its transaction. */
export function recordKeeper(
  { records, random, releases }: Pick<Kept, 'records' | 'random' | 'releases'>,
  networks: readonly NetworkConfig[],
  clock: Clock,
): InboxParts['keepRecord'] {
  const owners = new Map<string, RecordOwner>();
  for (const { root, lines } of networks)
    for (const { line, reportKey } of lines)
      if (reportKey)
        owners.set(lineText(line), { network: hex(root.networkId), author: hex(line.author) });
  return (device, record) => {
    const owner = owners.get(record.line);
    // A line that changed hands: the key is the author's of before.
    if (!owner || releases.line(record.line)?.owner !== owner.author) return;
    records.add(owner, device, encodeRecord({ salt: random(SALT_BYTES), ...record }), clock());
  };
}
