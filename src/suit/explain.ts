/** A SUIT report as sentences, for people: what a device did with a manifest, and why it stopped. */
import { hex } from '../bytes.ts';
import type { Capabilities } from './capabilities.ts';
import type { Command, Sequence } from './commands.ts';
import { readDigest } from './digest.ts';
import { parametersJson } from './inspect.ts';
import { parseItem } from './item.ts';
import { ACTION, CONDITION, CONTROL, MANIFEST, nameOf, PARAMETER, SECTION } from './label.ts';
import type { Manifest } from './manifest.ts';
import type { Parameters } from './parameters.ts';
import type { ReportEntry, SuitRecord } from './record.ts';
import type { Failure, Reason, Report } from './report.ts';

const REASONS: Readonly<Record<Reason, string>> = {
  ok: 'nothing was wrong',
  'cbor-parse': 'the bytes are no manifest of the format that it reads',
  'cose-unsupported': 'it does not know the signature, MAC or encryption structure',
  'alg-unsupported': 'it does not know an algorithm',
  unauthorised: 'no key that it trusts has signed the manifest',
  'command-unsupported': 'the manifest has a command that it cannot carry out',
  'component-unsupported': 'the manifest is about a component that it does not have',
  'component-unauthorised': 'the signer may not change that component',
  'parameter-unsupported': 'the manifest has a parameter that it does not know',
  'severing-unsupported': 'a part of the manifest was severed and is not at hand',
  'condition-failed': 'a condition of the manifest does not hold on it',
  'operation-failed': 'it could not do what the manifest asked for',
  'invoke-pending': 'it is about to start the image and cannot know yet how that ends',
};

/**
 * One sentence each. `manifest`: the one that the report is about, if at hand; then commands are
 * named. Texts of the report are escaped: nothing in them reaches a terminal or page as it is.
 */
export function explainReport(report: Report, manifest?: Manifest): readonly string[] {
  const { referenceUri, nonce, records, result, capabilities } = report;
  const { algorithm, bytes } = readDigest(parseItem(report.digest, 'digest'), 'digest');
  const where = referenceUri === '' ? '' : ` (${printable(referenceUri)})`;
  return [
    `This is about the manifest with ${algorithm} ${hex(bytes)}${where}.`,
    ...(nonce === undefined ? [] : [`It answers the nonce ${hex(nonce)}.`]),
    ...records.map((entry) => explainEntry(entry, manifest)),
    result === true ? 'The device did all that it was asked to.' : explainFailure(result, manifest),
    ...(capabilities === undefined ? [] : explainCapabilities(capabilities)),
  ];
}

/** Why a run ended, in one sentence. */
export function explainFailure({ code, reason, record }: Failure, manifest?: Manifest): string {
  const measured = describeProperties(record.properties);
  const seen = measured === '' ? '' : `; it measured ${measured}`;
  return `The device stopped ${placeOf(record, manifest)}: ${REASONS[reason]} (${reason}, code ${code})${seen}.`;
}

function explainEntry(entry: ReportEntry, manifest: Manifest | undefined): string {
  const measured = describeProperties(entry.properties);
  if (entry.kind === 'claims')
    return `Component ${entry.componentId.map(hex).join('.')}: ${measured}.`;
  const place = placeOf(entry, manifest);
  const start = place.charAt(0).toUpperCase() + place.slice(1);
  return `${start}${measured === '' ? ', it went on record' : `, it measured ${measured}`}.`;
}

function placeOf(record: SuitRecord, manifest: Manifest | undefined): string {
  const { manifestId, section, offset, componentIndex } = record;
  const name = section === MANIFEST.common ? 'shared' : (nameOf(SECTION, section) ?? `${section}`);
  const tree = manifestId.length === 0 ? '' : ` of dependency ${manifestId.join('/')}`;
  const command =
    manifestId.length > 0 || manifest === undefined
      ? undefined
      : commandAt(manifest, section, offset);
  const what = command === undefined ? 'the command' : nameCommand(command);
  return `in the ${name} section${tree}, at ${what} at byte ${offset}, for component ${componentIndex}`;
}

function nameCommand(command: Command): string {
  return command.kind === 'condition' || command.kind === 'action' ? command.name : command.kind;
}

/** The command at an offset of a section, as records count it; undefined when there is none. */
export function commandAt(
  manifest: Manifest,
  section: number,
  offset: number,
): Command | undefined {
  if (section === MANIFEST.common) return find(manifest.sharedSequence ?? [], offset);
  const name = nameOf(SECTION, section);
  const member = name === undefined ? undefined : manifest.sections.get(name);
  return member === undefined || member.state === 'absent' ? undefined : find(member.value, offset);
}

function find(sequence: Sequence, offset: number): Command | undefined {
  for (const command of sequence) {
    if (command.offset === offset) return command;
    const inner =
      command.kind === 'run-sequence'
        ? [command.sequence]
        : command.kind === 'try-each'
          ? command.sequences
          : [];
    for (const each of inner) {
      const found = each === null ? undefined : find(each, offset);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function describeProperties(properties: Parameters): string {
  return Object.entries(parametersJson(properties))
    .map(([name, value]) => {
      const spoken = name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
      return `${spoken} ${typeof value === 'string' ? printable(value) : JSON.stringify(value)}`;
    })
    .join(', ');
}

function explainCapabilities({ components, lists }: Capabilities): readonly string[] {
  const ids = components.map(
    ({ id, prefix }) => `${id.map(hex).join('.')}${prefix ? (id.length === 0 ? '*' : '.*') : ''}`,
  );
  const commands = { ...CONDITION, ...ACTION, ...CONTROL };
  const names = (list: readonly number[], table: Readonly<Record<string, number>>): string =>
    list.map((number) => nameOf(table, number) ?? `${number}`).join(', ');
  return [
    `The device has the components ${ids.join(', ')}.`,
    `It carries out ${names(lists.get('commands') ?? [], commands)}.`,
    `It knows the parameters ${names(lists.get('parameters') ?? [], PARAMETER)}.`,
    `It knows the algorithms ${(lists.get('algorithms') ?? []).join(', ')}.`,
  ];
}

/** Controls, format characters and separators as \u escapes: a terminal would obey or hide them. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
