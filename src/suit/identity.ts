/** Whom a manifest is for: the one pair of vendor and class id that its shared sequence checks. */
import { equal } from '../bytes.ts';
import { fail } from '../errors.ts';
import type { Command, Sequence } from './commands.ts';
import type { Manifest } from './manifest.ts';
import type { Parameters } from './parameters.ts';

export interface Identity {
  readonly vendorId: Uint8Array;
  readonly classId: Uint8Array;
}

/**
 * The pair, when there is exactly one (T04): both conditions stand at the top of the shared
 * sequence, where nothing can pass them by, and no parameter anywhere in the manifest names
 * another vendor or class. Errors: SUIT_IDENTITY_AMBIGUOUS.
 */
export function identity(manifest: Manifest): Identity {
  const shared = manifest.sharedSequence ?? [];
  const checks = (name: 'vendor-identifier' | 'class-identifier'): boolean =>
    shared.some((command) => command.kind === 'condition' && command.name === name);
  const sequences = [...manifest.sections.values()].flatMap((member) =>
    member.state === 'absent' ? [] : [member.value],
  );
  const everywhere = [shared, ...sequences].flatMap(parametersIn);
  const vendorId = only(everywhere.map((set) => set.vendorId));
  const classId = only(everywhere.map((set) => set.classId));
  const firm = checks('vendor-identifier') && checks('class-identifier');
  if (vendorId === undefined || classId === undefined || !firm)
    return fail(
      'SUIT_IDENTITY_AMBIGUOUS',
      'the shared sequence must check exactly one vendor id and one class id',
    );
  return { vendorId, classId };
}

function parametersIn(sequence: Sequence): readonly Parameters[] {
  return sequence.flatMap((command: Command): readonly Parameters[] => {
    if (command.kind === 'override-parameters' || command.kind === 'set-parameters')
      return [command.parameters];
    if (command.kind === 'override-multiple') return command.entries.map(([, set]) => set);
    if (command.kind === 'run-sequence') return parametersIn(command.sequence);
    if (command.kind !== 'try-each') return [];
    return command.sequences.flatMap((each) => (each === null ? [] : parametersIn(each)));
  });
}

function only(values: readonly (Uint8Array | undefined)[]): Uint8Array | undefined {
  const [first, ...rest] = values.filter((value) => value !== undefined);
  return first !== undefined && rest.every((value) => equal(value, first)) ? first : undefined;
}
