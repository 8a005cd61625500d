/** `firmament COMMAND ...`: finds the command, runs it, turns its end into an exit code. */
import { FirmamentError } from '../errors.ts';
import { EXIT, refusalLine, type Io } from './io.ts';
import { startFolder } from './start-folder.ts';

type Run = (args: readonly string[], io: Io) => Promise<number>;

interface Command {
  readonly summary: string;
  readonly load: () => Promise<Run>;
}

// Each command is loaded only when it is asked for: all libraries together cost half a second.
const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  [
    'demo',
    {
      summary: 'run a whole network on this machine and attack it',
      load: async () => (await import('./demo.ts')).demo,
    },
  ],
  [
    'author',
    {
      summary: 'make and register an author',
      load: async () => (await import('./author.ts')).author,
    },
  ],
  [
    'release',
    {
      summary: 'build, sign, publish and withdraw releases',
      load: async () => (await import('./release.ts')).release,
    },
  ],
  [
    'gateway',
    {
      summary: "run the owner's gateway, and ask it what it does",
      load: async () => (await import('./gateway.ts')).gateway,
    },
  ],
  [
    'network',
    {
      summary: 'make the genesis, keys and configuration of a network',
      load: async () => (await import('./network.ts')).network,
    },
  ],
  [
    'node',
    {
      summary: 'run one node of a network',
      load: async () => (await import('./node.ts')).node,
    },
  ],
  [
    'policy',
    {
      summary: 'change the policy of a network, or appoint another orderer',
      load: async () => (await import('./policy.ts')).policy,
    },
  ],
  [
    'device',
    {
      summary: 'run a device that follows lines and boots what it accepts',
      load: async () => (await import('./device.ts')).device,
    },
  ],
  [
    'suit',
    {
      summary: 'make, sign, verify, inspect and run SUIT envelopes',
      load: async () => (await import('./suit.ts')).suit,
    },
  ],
  [
    'proof',
    {
      summary: 'verify an update proof',
      load: async () => (await import('./proof.ts')).proof,
    },
  ],
]);

function usage(): string {
  const width = Math.max(...[...COMMANDS.keys()].map((name) => name.length));
  const list = [...COMMANDS].map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return [
    'Usage: firmament COMMAND [ARGUMENTS]',
    '',
    ...list,
    '',
    'firmament COMMAND --help says more about one command.',
    'Exit codes: 0 done, 1 refused (with a code), 2 wrong usage or no such file.',
  ].join('\n');
}

/** Runs one command line; never throws. Result: the exit code. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args;
  if (name === '--help' || name === '-h' || name === 'help') {
    io.stdout(usage());
    return EXIT.ok;
  }
  const command = name === undefined ? undefined : COMMANDS.get(name);
  if (command === undefined) {
    io.stderr(name === undefined ? usage() : `firmament: no command "${name}"; see --help`);
    return EXIT.usage;
  }
  try {
    const run = await command.load();
    return await run(rest, io);
  } catch (error) {
    return report(error, io);
  }
}

function report(error: unknown, io: Io): number {
  if (error instanceof FirmamentError) {
    io.stderr(refusalLine(error.code, error.message));
    return EXIT.refused;
  }
  // parseArgs and the file system name what was wrong in their own codes; the rest is a fault of ours.
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  if (error instanceof Error && code !== undefined && /^(ERR_PARSE_ARGS|E[A-Z]+$)/.test(code)) {
    io.stderr(`firmament: ${error.message}`);
    return EXIT.usage;
  }
  io.stderr(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT.usage;
}

if (import.meta.main) {
  const folder = startFolder(process.env);
  // What this program starts itself stays in the folder that it is given.
  delete process.env['INIT_CWD'];
  if (folder !== undefined) process.chdir(folder);
  process.exitCode = await main(process.argv.slice(2), {
    stdout: (line) => console.log(line),
    stderr: (line) => console.error(line),
  });
}
