/**
 * What a device keeps of what it has accepted (T14, T17): the head, the floor of its time, and per line
 * the lowest sequence and the last confirmed release. It only grows; a change that would take
 * something back is refused, and a file that can't be read is never replaced by an empty one.
 */
import type { Chain } from '../trust/links.ts';
import { chainFromJson, chainToJson } from './chain-record.ts';
import { check } from '../errors.ts';
import { diskFiles, type Files } from '../reader/files.ts';
import { jsonReader } from './json-fields.ts';
import { readRecord, writeRecord } from './record.ts';

export interface LineState {
  /** The links from the author anchor that were checked so far (T02); null before the first proof. */
  readonly chain: Chain | null;
  /** The lowest sequence still allowed, as far as a proof has shown. */
  readonly lowest: bigint;
  /** The last release whose trial was confirmed here. `digest`: of the manifest, 64 hex digits. */
  readonly confirmed: { readonly sequence: bigint; readonly digest: string } | null;
}

export interface DeviceState {
  /** The head of the last accepted proof; `root` 64 hex digits. */
  readonly head: { readonly size: number; readonly root: string } | null;
  /** POSIX seconds: it is not earlier than this. */
  readonly floor: number;
  /** Of the reports that this device has signed; grows with each. */
  readonly counter: number;
  /** By the line's text. */
  readonly lines: ReadonlyMap<string, LineState>;
}

const NEW_LINE: LineState = { chain: null, lowest: 0n, confirmed: null };
const RECORD = 'device-state';
const FORMAT = 'firmament/device-state/v1';
const MAX_LINES = 16;
const HASH = /^[0-9a-f]{64}$/;
const LINE = /^[0-9a-f]{64}\/[0-9a-f]{32}\/[0-9a-f]{32}\/[a-z0-9][a-z0-9.-]{0,31}$/;

/**
 * Opens the state in `directory`; a device that has none yet starts at its provisioned floor.
 * Errors: DEVICE_STATE_CORRUPT.
 */
export async function openDeviceState(options: {
  readonly directory: string;
  readonly floor: number;
  readonly files?: Files;
}): Promise<DeviceStateFile> {
  const { directory, floor, files = diskFiles } = options;
  await files.makeFolder(directory);
  const record = await readRecord(files, directory, RECORD);
  const kept: DeviceState =
    record === undefined
      ? { head: null, floor, counter: 0, lines: new Map() }
      : deviceStateFromJson(record);
  return new DeviceStateFile(directory, files, { ...kept, floor: Math.max(kept.floor, floor) });
}

/** One writer at a time. */
export class DeviceStateFile {
  readonly #directory: string;
  readonly #files: Files;
  #state: DeviceState;
  #last: Promise<unknown> = Promise.resolve();

  constructor(directory: string, files: Files, state: DeviceState) {
    this.#directory = directory;
    this.#files = files;
    this.#state = state;
  }

  get state(): DeviceState {
    return this.#state;
  }

  /** Durable when it resolves, unchanged when it rejects. Errors: DEVICE_STATE_ROLLBACK. */
  update(change: (state: DeviceState) => DeviceState): Promise<DeviceState> {
    const result = this.#last.then(async () => {
      const grown = change(this.#state);
      if (grown === this.#state) return grown;
      checkGrows(this.#state, grown);
      const json = deviceStateToJson(grown);
      deviceStateFromJson(JSON.parse(JSON.stringify(json))); // what can't be read back is never written
      await writeRecord(this.#files, this.#directory, RECORD, json);
      this.#state = grown;
      return grown;
    });
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** The state once a proof was accepted whose head, floor and lowest are these. Never lowers anything. */
export function withProof(
  state: DeviceState,
  proof: {
    readonly head: { readonly size: number; readonly root: string };
    readonly floor: number;
    readonly line: string;
    readonly lowest: bigint;
    readonly chain: Chain | null;
  },
): DeviceState {
  const known = state.lines.get(proof.line) ?? NEW_LINE;
  const lowest = proof.lowest > known.lowest ? proof.lowest : known.lowest;
  return {
    ...state,
    head: proof.head,
    floor: Math.max(state.floor, proof.floor),
    lines: new Map(state.lines).set(proof.line, {
      ...known,
      lowest,
      chain: proof.chain ?? known.chain,
    }),
  };
}

/** The state once a release was confirmed; the same object when it is known already. */
export function withConfirmed(
  state: DeviceState,
  line: string,
  confirmed: { readonly sequence: bigint; readonly digest: string },
): DeviceState {
  const known = state.lines.get(line) ?? NEW_LINE;
  // After a fall back to an older slot (T19) the last confirmed one stays what it was.
  if (known.confirmed && known.confirmed.sequence >= confirmed.sequence) return state;
  return { ...state, lines: new Map(state.lines).set(line, { ...known, confirmed }) };
}

function checkGrows(before: DeviceState, after: DeviceState): void {
  const kept = (condition: boolean, what: string): void =>
    check(condition, 'DEVICE_STATE_ROLLBACK', `${what} would be taken back`);
  kept(after.floor >= before.floor, 'the time floor');
  kept(after.counter >= before.counter, 'the report counter');
  if (before.head) {
    const { head } = after;
    kept(head !== null && head.size >= before.head.size, 'the head');
    kept(head?.size !== before.head.size || head.root === before.head.root, 'the root of the head');
  }
  for (const [line, known] of before.lines) {
    const now = after.lines.get(line);
    kept(now !== undefined && now.lowest >= known.lowest, 'the lowest sequence');
    kept((now?.chain?.count ?? 0) >= (known.chain?.count ?? 0), 'the checked links');
    if (!known.confirmed) continue;
    const { sequence, digest } = known.confirmed;
    const confirmed = now?.confirmed;
    kept(!!confirmed && confirmed.sequence >= sequence, 'the confirmed release');
    kept(confirmed?.sequence !== sequence || confirmed.digest === digest, 'the confirmed digest');
  }
}

function deviceStateToJson(state: DeviceState): unknown {
  return {
    format: FORMAT,
    head: state.head,
    floor: state.floor,
    counter: state.counter,
    lines: Object.fromEntries(
      [...state.lines].map(([line, { chain, lowest, confirmed }]) => [
        line,
        {
          chain: chain && chainToJson(chain),
          lowest: String(lowest),
          confirmed: confirmed && {
            sequence: String(confirmed.sequence),
            digest: confirmed.digest,
          },
        },
      ]),
    ),
  };
}

/** Errors: DEVICE_STATE_CORRUPT. */
export function deviceStateFromJson(value: unknown): DeviceState {
  const json = jsonReader('DEVICE_STATE_CORRUPT');
  const top = json.object(value, 'device state', ['format', 'head', 'floor', 'counter', 'lines']);
  check(top['format'] === FORMAT, 'DEVICE_STATE_CORRUPT', 'a device state of another format');
  const head = top['head'] === null ? null : json.object(top['head'], 'head', ['size', 'root']);
  return {
    head: head && {
      size: json.uint(head['size'], 'head size'),
      root: json.text(head['root'], 'head root', HASH),
    },
    floor: json.uint(top['floor'], 'floor'),
    counter: json.uint(top['counter'], 'counter'),
    lines: new Map(
      json.entries(top['lines'], 'lines', MAX_LINES).map(([line, entry]) => {
        const { chain, lowest, confirmed } = json.object(entry, 'line', [
          'chain',
          'lowest',
          'confirmed',
        ]);
        const last =
          confirmed === null ? null : json.object(confirmed, 'confirmed', ['sequence', 'digest']);
        return [
          json.text(line, 'line', LINE),
          {
            chain: chain === null ? null : chainFromJson(json, chain),
            lowest: json.uint64(lowest, 'lowest'),
            confirmed: last && {
              sequence: json.uint64(last['sequence'], 'confirmed sequence'),
              digest: json.text(last['digest'], 'confirmed digest', HASH),
            },
          },
        ];
      }),
    ),
  };
}
