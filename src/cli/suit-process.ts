/** `firmament suit process`: runs a manifest against a directory of component files. */
import { mkdir } from 'node:fs/promises';
import { replaceFile } from '../author/durable-file.ts';
import { uuidBytes } from '../author/identifiers.ts';
import { hex } from '../bytes.ts';
import { FirmamentError } from '../errors.ts';
import { authenticateWith } from '../suit/authenticate.ts';
import { capabilitiesOf } from '../suit/capabilities.ts';
import { MAX_ENVELOPE_BYTES, parseEnvelope } from '../suit/envelope.ts';
import { explainReport } from '../suit/explain.ts';
import { integerJson, parametersJson } from '../suit/inspect.ts';
import type { Json } from '../suit/inspect.ts';
import { SECTION } from '../suit/label.ts';
import type { SectionName } from '../suit/label.ts';
import { processManifest } from '../suit/process.ts';
import type { ReportEntry } from '../suit/record.ts';
import { createReport, encodeReport, failureOf } from '../suit/report.ts';
import type { Failure, Report } from '../suit/report.ts';
import { onlyPositional, readArguments, wrong } from './arguments.ts';
import type { Arguments } from './arguments.ts';
import { readDecryptionKey, readSigner, readTrust, readUpTo } from './suit-keys.ts';
import { contentsOf, slotsPort } from './suit-slots.ts';

/** An update and then a start (trust-domains 7, draft 8.4.6). */
const SECTIONS: readonly SectionName[] = [
  'dependency-resolution',
  'payload-fetch',
  'candidate-verification',
  'install',
  'validate',
  'load',
  'invoke',
];

/** A manifest was refused. `record`: where, as a SUIT report has it. */
export class ProcessRefusal extends Error {
  readonly refusal: FirmamentError;
  readonly record: Json;

  constructor(refusal: FirmamentError, record: Json) {
    super(refusal.message, { cause: refusal });
    this.refusal = refusal;
    this.record = record;
  }
}

/** Errors: ProcessRefusal, and those of arguments, keys and envelope. */
export async function processFile(args: readonly string[]): Promise<Json> {
  const given = readArguments(spreadLists(args), [
    'key*',
    'vendor',
    'class',
    'component-slot',
    'payload*',
    'slots',
    'kek*',
    'sections',
    'report',
    'report-key',
    'stored-sequence',
    'battery',
    'authorize',
    'now',
    'capabilities?',
    'untagged?',
  ]);
  const bytes = await readUpTo(onlyPositional(given, 'envelope'), MAX_ENVELOPE_BYTES);
  if (given.list('key').length === 0) wrong('--key COSE_KEY_FILE is needed');
  const trust = await readTrust(given.list('key'));
  const decryptionKeys = await Promise.all(given.list('kek').map(readDecryptionKey));
  const directory = given.required('slots');
  await mkdir(directory, { recursive: true });
  const invoked: Json[] = [];
  const unlinked: string[] = [];
  const seconds = given.text('now');
  const port = slotsPort({
    directory,
    vendorId: identifier(given, 'vendor'),
    classId: identifier(given, 'class'),
    slot: optionalCount(given, 'component-slot'),
    payloads: payloadsOf(given),
    battery: optionalCount(given, 'battery'),
    authorizeUpTo: optionalCount(given, 'authorize'),
    now: () =>
      seconds === undefined ? BigInt(Math.floor(Date.now() / 1000)) : wide(seconds, 'now'),
    onInvoke: (component, invokeArguments) =>
      invoked.push({
        component,
        arguments: invokeArguments === undefined ? null : hex(invokeArguments),
      }),
    onUnlink: (component) => unlinked.push(component),
  });

  const records: ReportEntry[] = [];
  const envelope = refusing(() => parseEnvelope(bytes, { untagged: given.flag('untagged') }));
  const verified = refusing(() => authenticateWith(envelope, trust));
  const { manifest } = verified;
  const stored = given.text('stored-sequence');
  const report = async (result: true | Failure): Promise<Report> => {
    const found: Report = {
      referenceUri: manifest.referenceUri ?? '',
      digest: envelope.digest,
      nonce: undefined,
      records,
      result,
      ...(given.flag('capabilities')
        ? { capabilities: capabilitiesOf(port, [{ id: [], prefix: true }]) }
        : {}),
    };
    await writeReport(given, found);
    return found;
  };
  try {
    const { ran } = await processManifest(verified, {
      sections: sectionsOf(given),
      port,
      trust,
      decryptionKeys,
      onRecord: (entry) => records.push(entry),
      ...(stored === undefined ? {} : { storedSequence: wide(stored, 'stored-sequence') }),
    });
    return {
      digest: hex(envelope.digestBytes),
      sequence: integerJson(manifest.sequence),
      ran,
      invoked,
      unlinked,
      components: await contentsOf(port, manifest.componentIds),
      report: explainReport(await report(true), manifest),
    };
  } catch (error) {
    if (!(error instanceof FirmamentError)) throw error;
    const failure = failureOf(error);
    await report(failure);
    throw new ProcessRefusal(error, recordJson(failure));
  }
}

/** `FILE --key A B` as `FILE --key A --key B`: the file comes first, so what follows an option is its. */
function spreadLists(args: readonly string[]): readonly string[] {
  if (args[0]?.startsWith('-') !== false) return args;
  let option = '';
  return args.flatMap((arg) => {
    if (arg.startsWith('-')) {
      option = LISTS.has(arg) ? arg : '';
      return option === '' ? [arg] : [];
    }
    return option === '' ? [arg] : [option, arg];
  });
}

const LISTS: ReadonlySet<string> = new Set(['--key', '--payload', '--kek']);

/** Refused before anything ran. */
function refusing<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof FirmamentError)) throw error;
    throw new ProcessRefusal(error, recordJson(failureOf(error)));
  }
}

function recordJson({ reason, record }: Failure): Json {
  const { manifestId, section, offset, componentIndex, properties } = record;
  return {
    reason,
    manifest: manifestId,
    section,
    offset,
    component: componentIndex,
    properties: parametersJson(properties),
  };
}

/** Signed with --report-key; without one the SUIT_Report as it is. */
async function writeReport(given: Arguments, report: Report): Promise<void> {
  const file = given.text('report');
  if (file === undefined) return;
  const keyFile = given.text('report-key');
  const key = keyFile === undefined ? undefined : await readSigner(keyFile);
  if (key instanceof Uint8Array) wrong('--report-key is a private key for signatures');
  await replaceFile(file, key === undefined ? encodeReport(report) : createReport(report, key));
}

function sectionsOf(given: Arguments): readonly SectionName[] {
  const names = given.text('sections');
  if (names === undefined) return SECTIONS;
  return names.split(',').map((name) => {
    const known = Object.keys(SECTION) as SectionName[];
    return known.find((each) => each === name) ?? wrong(`no section ${name}: ${known.join(', ')}`);
  });
}

function identifier(given: Arguments, name: string): Uint8Array | undefined {
  const value = given.text(name);
  if (value === undefined) return undefined;
  return uuidBytes(value) ?? wrong(`--${name} is a UUID, with dashes or without`);
}

function optionalCount(given: Arguments, name: string): number | undefined {
  return given.text(name) === undefined ? undefined : given.count(name, 0);
}

function wide(value: string, name: string): bigint {
  return /^\d{1,20}$/.test(value) ? BigInt(value) : wrong(`--${name} is a whole number`);
}

/** URI=FILE; the last `=` parts them, as a URI may have some. */
function payloadsOf(given: Arguments): ReadonlyMap<string, string> {
  return new Map(
    given.list('payload').map((each) => {
      const at = each.lastIndexOf('=');
      if (at < 1 || at === each.length - 1) wrong('--payload is URI=FILE');
      return [each.slice(0, at), each.slice(at + 1)] as const;
    }),
  );
}
