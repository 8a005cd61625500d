/** A head as text: c2sp.org/tlog-checkpoint with exactly three lines, no extensions. */
import { base64, fromBase64, hex } from '../bytes.ts';
import { check, codeOf, fail } from '../errors.ts';

export interface Checkpoint {
  /** Names the log: one of `originOf` for ours. */
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

const MAX_ORIGIN = 256;
const MAX_CHECKPOINT = 512;
const HASH = 32;

/** The log's origin line: `firmament/` and the network id in lowercase hex. */
export function originOf(networkId: Uint8Array): string {
  return `firmament/${hex(networkId)}`;
}

/** Errors: LOG_CHECKPOINT_MALFORMED. */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  const { origin, size, root } = checkpoint;
  checkOrigin(origin);
  const inRange = Number.isSafeInteger(size) && size >= 0;
  check(inRange, 'LOG_CHECKPOINT_MALFORMED', 'the size is not a whole number below 2^53');
  check(root.length === HASH, 'LOG_CHECKPOINT_MALFORMED', 'a root has 32 bytes');
  return `${origin}\n${size}\n${base64(root)}\n`;
}

/** The checkpoint that the text is, in its one form. Errors: LOG_CHECKPOINT_MALFORMED. */
export function parseCheckpoint(text: string): Checkpoint {
  check(text.length <= MAX_CHECKPOINT, 'LOG_CHECKPOINT_MALFORMED', 'longer than the bound');
  const lines = text.split('\n');
  const three = lines.length === 4 && lines[3] === '';
  check(three, 'LOG_CHECKPOINT_MALFORMED', 'a checkpoint has exactly three lines');
  const [origin, size, root] = lines as [string, string, string];
  checkOrigin(origin);
  check(/^(0|[1-9][0-9]{0,15})$/.test(size), 'LOG_CHECKPOINT_MALFORMED', 'not a decimal size');
  const checkpoint = { origin, size: Number(size), root: decodeRoot(root) };
  // One head, one text: what is cosigned is the text, so no second form of a head may pass.
  check(formatCheckpoint(checkpoint) === text, 'LOG_CHECKPOINT_MALFORMED', 'not the one form');
  return checkpoint;
}

function decodeRoot(line: string): Uint8Array {
  try {
    return fromBase64(line);
  } catch (cause) {
    if (codeOf(cause) !== 'BYTES_MALFORMED') throw cause;
    return fail('LOG_CHECKPOINT_MALFORMED', 'the root is not base64', {}, cause);
  }
}

function checkOrigin(origin: string): void {
  const right =
    origin.length > 0 &&
    origin.length <= MAX_ORIGIN &&
    // oxlint-disable-next-line no-control-regex -- control characters are what is refused
    !/[\u0000-\u001f\u007f]/.test(origin) &&
    origin.isWellFormed();
  check(right, 'LOG_CHECKPOINT_MALFORMED', 'not an origin line');
}
