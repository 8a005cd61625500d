/** Where a node's CPU went, from V8's own profile, and how often a function ran, from V8's own counts. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
}

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: CallFrame;
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export const PARTS = [
  'signatures',
  'SQLite',
  'registry',
  'trees',
  'ABCI and protobuf',
  'certificates',
  'HTTP and TLS',
  'garbage collection',
  'rest',
] as const;
export type Part = (typeof PARTS)[number];

/** The innermost frame that fits decides: a query made by a rule is SQLite's, a signature checked by one is not its. */
const BY_FRAME: readonly (readonly [Part, (frame: CallFrame) => boolean])[] = [
  ['garbage collection', ({ functionName }) => functionName === '(garbage collector)'],
  [
    'signatures',
    ({ url, functionName }) =>
      /src\/crypto\//.test(url) && /^(?:sign|verify|verifyEd|checkPublicKey)/.test(functionName),
  ],
  [
    'SQLite',
    ({ url, functionName }) =>
      /src\/database\.ts$|node:sqlite/.test(url) ||
      /src\/ledger\/(?:.*-tables|schema|engine-position|pending)\.ts$/.test(url) ||
      /^(?:StatementSync|DatabaseSync)/.test(functionName),
  ],
  ['certificates', ({ url }) => /src\/light\/|src\/ledger\/cometbft\/certificates/.test(url)],
  ['registry', ({ url }) => /src\/(?:registry|suit|cose|cbor|ledger\/block-run)/.test(url)],
  ['trees', ({ url }) => /src\/(?:log|ledger\/(?:close-block|written|record-cache))/.test(url)],
  ['ABCI and protobuf', ({ url }) => /src\/(?:ledger\/cometbft|proto)\/|@bufbuild/.test(url)],
  [
    'HTTP and TLS',
    ({ url }) =>
      /node:(?:internal\/)?(?:_?http|_?tls|net|stream|streams)|fastify|src\/net\//.test(url),
  ],
];

/** Shares of the time that the process was not idle, by part. `folder`: where --cpu-prof wrote one profile. */
export function readProfile(folder: string): ReadonlyMap<Part, number> {
  const [file] = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'));
  if (file === undefined) throw new Error('no CPU profile was written');
  const profile = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile;
  const parts = partsOf(profile);
  const times = new Map<Part, number>(PARTS.map((part) => [part, 0]));
  let total = 0;
  profile.samples.forEach((id, i) => {
    const part = parts.get(id);
    if (part === undefined) return;
    const time = profile.timeDeltas[i] ?? 0;
    times.set(part, (times.get(part) ?? 0) + time);
    total += time;
  });
  return new Map([...times].map(([part, time]) => [part, time / total]));
}

/** By node of the profile's tree; those where it waited are left out. */
function partsOf({ nodes }: Profile): ReadonlyMap<number, Part> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parts = new Map<number, Part>();
  const walk = (id: number, inherited: Part): void => {
    const node = byId.get(id);
    if (!node || node.callFrame.functionName === '(idle)') return;
    const own = BY_FRAME.find(([, fits]) => fits(node.callFrame))?.[0] ?? inherited;
    parts.set(id, own);
    for (const child of node.children ?? []) walk(child, own);
  };
  const [root] = nodes;
  if (root) walk(root.id, 'rest');
  return parts;
}

/** How often a function of a source file ran in a process with NODE_V8_COVERAGE=`folder`. */
export function calls(folder: string, file: string, name: string): number {
  let count = 0;
  for (const each of readdirSync(folder)) {
    const { result } = JSON.parse(readFileSync(join(folder, each), 'utf8')) as {
      readonly result: readonly {
        readonly url: string;
        readonly functions: readonly {
          readonly functionName: string;
          readonly ranges: readonly { readonly count: number }[];
        }[];
      }[];
    };
    for (const { url, functions } of result)
      if (url.endsWith(file))
        for (const { functionName, ranges } of functions)
          if (functionName === name) count += ranges[0]?.count ?? 0;
  }
  return count;
}
