/** image.hold and image.drop: a node's signed word that it has, or has no longer, every block (T16, T23). */
import { asBytes, asUint } from '../../cbor/read.ts';
import { check, fail } from '../../errors.ts';
import { equal } from '../../bytes.ts';
import { lineKey, parseReleaseText } from '../line.ts';
import { latchAvailability } from '../newest.ts';
import { getAnchor, getHolds, setHolds, type ImageKey } from '../state.ts';
import type { Statement } from '../statement.ts';
import type { View } from '../view.ts';
import { parsePayload } from './payload.ts';

// A lease can be renewed; one without end could not be outlived by a node that is gone.
const MAX_LEASE = 1 << 24;

interface HoldOfImage {
  readonly image: ImageKey;
  readonly until: number;
}

/** Errors: STATEMENT_MALFORMED. */
export function parseHold(statement: Statement): HoldOfImage {
  const keys = statement.kind === 'image.hold' ? [1, 2, 3, 4] : [1, 2, 3];
  return parsePayload(statement, keys, (get) => ({
    image: {
      line: asBytes(get(1), 'line', 32),
      release: asBytes(get(2), 'manifest digest', 32),
      image: asBytes(get(3), 'image digest', 32),
    },
    until: statement.kind === 'image.hold' ? asUint(get(4), 'until') : 0,
  }));
}

function anchoredHold(view: View, statement: Statement): HoldOfImage {
  const hold = parseHold(statement);
  const subject = parseReleaseText(statement.subject);
  check(
    equal(lineKey(subject.line), hold.image.line) && equal(subject.digest, hold.image.release),
    'STATEMENT_SUBJECT',
  );
  if (!getAnchor(view, hold.image)) fail('ANCHOR_UNKNOWN');
  return hold;
}

export function holdImage(view: View, statement: Statement, node: string, height: number): void {
  const { image, until } = anchoredHold(view, statement);
  check(
    until > height && until <= height + MAX_LEASE,
    'HOLD_INVALID',
    'a lease ends after its block, and in time',
  );
  setHolds(view, image, [...others(view, image, node), { node, until }]);
  latchAvailability(view, image.line, image.release, height);
}

export function dropImage(view: View, statement: Statement, node: string): void {
  const { image } = anchoredHold(view, statement);
  const rest = others(view, image, node);
  check(
    rest.length < getHolds(view, image).length,
    'HOLD_INVALID',
    'the node does not hold this image',
  );
  setHolds(view, image, rest);
}

function others(view: View, image: ImageKey, node: string): ReturnType<typeof getHolds> {
  return getHolds(view, image).filter((hold) => hold.node !== node);
}
