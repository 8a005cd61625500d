/** `firmament author report-key` and `reports`: what gateways say of an author's releases (T25). */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createReportKey, openReportKey, REPORT_PUBLIC } from '../author/report-key.ts';
import { readReports, type AuthorBatch, type AuthorReports } from '../author/reports.ts';
import { hex } from '../bytes.ts';
import { encodeKey } from '../cose/key.ts';
import { answer, noPositionals, readArguments } from './arguments.ts';
import { openFolder, SIGNING, systemClock, withSession } from './author-session.ts';
import type { Io } from './io.ts';
import { passphraseOf } from './passphrase.ts';

export async function reportKey(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, SIGNING);
  noPositionals(given);
  const author = await openFolder(given);
  const passphrase = await passphraseOf(
    given,
    `A passphrase for the report key of ${author.name}: `,
  );
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  const key = await createReportKey(author, passphrase, { random });
  const file = join(author.directory, REPORT_PUBLIC);
  const shown = hex(encodeKey(key));
  answer(io, given, [`"reportKey" for the owners of gateways: ${shown}`, `or the file ${file}`], {
    reportKey: shown,
    file,
  });
}

export async function reports(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [...SIGNING, 'node*']);
  noPositionals(given);
  await withSession(given, async ({ author, network, key }) => {
    const passphrase = await passphraseOf(given, 'Passphrase of the report key: ');
    const only = given.list('node');
    const found = await readReports({
      network,
      key,
      author: author.id,
      reportKey: await openReportKey(author, passphrase),
      clock: systemClock,
      ...(only.length > 0 && { only }),
    });
    answer(io, given, sentences(found), { ...found });
  });
}

function sentences({ releases, batches, unheard }: AuthorReports): readonly string[] {
  return [
    ...releases.map(({ line, release, devices, results }) => {
      const counts = Object.entries(results).map(([result, count]) => `${count} ${result}`);
      return `${line} ${release}: ${devices} devices, ${counts.join(', ')}`;
    }),
    ...batches.flatMap(aboutBatch),
    ...Object.entries(unheard).map(([node, code]) => `${node} gave no answer that holds: ${code}`),
    ...(releases.length === 0 ? ['no report counts yet'] : []),
  ];
}

function aboutBatch(batch: AuthorBatch): readonly string[] {
  const name = `batch ${batch.root}`;
  if ('code' in batch) return [`${name} at ${batch.node} does not count: ${batch.code}`];
  return [
    ...(batch.missing > 0
      ? [`${name}: ${batch.missing} of ${batch.count} records were erased or left out`]
      : []),
    ...batch.refused.map(({ leaf, code }) => `${name}: record ${leaf} does not count: ${code}`),
  ];
}
