/** The key that gateways seal reports to (T25): its secret lies under the author's passphrase, its public part is given to owners. */
import { join } from 'node:path';
import { encodeKey } from '../cose/key.ts';
import type { PrivateKey, PublicKey } from '../crypto/key.ts';
import type { Random } from '../random.ts';
import { newKey, type Author } from './author.ts';
import { createFile } from './durable-file.ts';
import { createKeyFile, openKeyFile } from './keys.ts';
import type { Cost } from './sealed-file.ts';

const REPORT_KEY = 'report.key';
/** For the owners of gateways: a COSE_Key. */
export const REPORT_PUBLIC = 'report.pub';

/** Makes the key. Errors: AUTHOR_FILE_EXISTS, AUTHOR_PASSPHRASE_EMPTY. */
export async function createReportKey(
  { directory }: Pick<Author, 'directory'>,
  passphrase: string,
  options: { readonly random: Random; readonly cost?: Cost },
): Promise<PublicKey> {
  const key = newKey('P-256', options.random);
  await createKeyFile(join(directory, REPORT_KEY), key, passphrase, options);
  await createFile(join(directory, REPORT_PUBLIC), encodeKey(key.publicKey), 0o644);
  return key.publicKey;
}

/** Errors: AUTHOR_PASSPHRASE_WRONG, AUTHOR_FILE_INVALID, and the file system's own when there is none. */
export function openReportKey(
  { directory }: Pick<Author, 'directory'>,
  passphrase: string,
): Promise<PrivateKey> {
  return openKeyFile(join(directory, REPORT_KEY), passphrase);
}
