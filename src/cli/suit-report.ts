/** `firmament suit report`: what a device reported, in sentences. */
import { check } from '../errors.ts';
import { manifestOf } from '../suit/authenticate.ts';
import { equal } from '../bytes.ts';
import { MAX_ENVELOPE_BYTES, parseEnvelope } from '../suit/envelope.ts';
import { explainReport } from '../suit/explain.ts';
import { MAX_REPORT_BYTES, parseReport, verifyReport } from '../suit/report.ts';
import { onlyPositional, readArguments, wrong } from './arguments.ts';
import { readTrust, readUpTo } from './suit-keys.ts';
import { Lines } from './terminal-json.ts';

/** A signed report with --key, else a SUIT_Report alone. */
export async function explainFile(args: readonly string[]): Promise<Lines> {
  const given = readArguments(args, ['key', 'envelope']);
  const bytes = await readUpTo(onlyPositional(given, 'report'), MAX_REPORT_BYTES);
  const keyFile = given.text('key');
  const [key] = keyFile === undefined ? [] : (await readTrust([keyFile])).keys;
  if (keyFile !== undefined && key === undefined) wrong('--key is a key for signatures');
  const report = key === undefined ? parseReport(bytes) : verifyReport(bytes, key).report;
  const file = given.text('envelope');
  if (file === undefined) return new Lines(explainReport(report).join('\n'));
  const envelope = parseEnvelope(await readUpTo(file, MAX_ENVELOPE_BYTES));
  const same = equal(envelope.digest, report.digest);
  check(same, 'SUIT_REPORT_MALFORMED', 'the report is about another manifest');
  return new Lines(explainReport(report, manifestOf(envelope)).join('\n'));
}
