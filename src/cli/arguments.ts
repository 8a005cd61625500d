/** What commands with verbs share: options, the choice of the verb, the shape of their output. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { FirmamentError } from '../errors.ts';
import { EXIT, refusalLine, type Io } from './io.ts';

/** Wrong usage: the message says what was wrong. */
export class UsageError extends Error {
  readonly code = 'ERR_PARSE_ARGS_USAGE';
}

export interface Arguments {
  readonly positionals: readonly string[];
  readonly json: boolean;
  /** The option's text, if it was given. */
  text(name: string): string | undefined;
  /** Errors: UsageError without it. */
  required(name: string): string;
  flag(name: string): boolean;
  /** A whole number. Errors: UsageError. */
  count(name: string, otherwise: number): number;
  /** Of an option that may be given several times. */
  list(name: string): readonly string[];
}

const SHARED: ParseArgsOptionsConfig = {
  help: { type: 'boolean', short: 'h' },
  json: { type: 'boolean' },
};

/** Options: `name` takes a text, `name?` is a flag, `name*` may be given several times. */
export function readArguments(args: readonly string[], names: readonly string[]): Arguments {
  const options: ParseArgsOptionsConfig = { ...SHARED };
  for (const name of names) {
    const bare = name.replace(/[?*]$/, '');
    options[bare] = name.endsWith('?')
      ? { type: 'boolean' }
      : { type: 'string', multiple: name.endsWith('*') };
  }
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    positionals,
    json: values['json'] === true,
    text,
    required: (name) => text(name) ?? wrong(`--${name} is needed`),
    flag: (name) => values[name] === true,
    count(name, otherwise) {
      const value = text(name);
      if (value === undefined) return otherwise;
      return /^\d{1,9}$/.test(value) ? Number(value) : wrong(`--${name} is a whole number`);
    },
    list(name) {
      const value = values[name];
      return Array.isArray(value) ? value.map(String) : [];
    },
  };
}

export function wrong(message: string): never {
  throw new UsageError(message);
}

/** The one argument of a verb that is no option. Errors: UsageError. */
export function onlyPositional(given: Arguments, what: string): string {
  const [value, ...rest] = given.positionals;
  if (value === undefined || rest.length > 0) return wrong(`one ${what} is needed`);
  return value;
}

export function noPositionals(given: Arguments): void {
  if (given.positionals.length > 0) wrong(`what is "${given.positionals[0]}"?`);
}

/** A verb: what it does with the arguments behind its name. */
export type Verb = (args: readonly string[], io: Io) => Promise<void>;

/** Runs the verb that is named first. A refusal is one line; with `--json` it is JSON. */
export async function runVerb(
  command: string,
  usage: string,
  verbs: Readonly<Record<string, Verb>>,
  args: readonly string[],
  io: Io,
): Promise<number> {
  const [name = '', ...rest] = args;
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout(usage);
    return EXIT.ok;
  }
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (!verb) {
    const known = Object.keys(verbs).join(', ');
    io.stderr(`firmament ${command}: one of ${known} is needed; see --help`);
    return EXIT.usage;
  }
  try {
    await verb(rest, io);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof FirmamentError)) throw error;
    const { code, message } = error;
    const json = args.includes('--json');
    io.stderr(json ? JSON.stringify({ code, message }) : refusalLine(code, message));
    return EXIT.refused;
  }
}

/** For people, or one JSON line for scripts. */
export function answer(
  io: Io,
  given: Arguments,
  lines: readonly string[],
  json: Readonly<Record<string, unknown>>,
): void {
  if (given.json) io.stdout(JSON.stringify(json));
  else for (const line of lines) io.stdout(line);
}
