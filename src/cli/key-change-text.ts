/** What a recovery key is asked to sign, in words: whoever holds it reads this before the passphrase is given. */
import { hex } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { asMap } from '../cbor/read.ts';
import type { KeyChange } from '../author/key-changes.ts';
import { keyIdOf } from '../registry/key-id.ts';
import { parseRevocation } from '../registry/rules/key-revoke.ts';
import { parseRotation } from '../registry/rules/key-rotate.ts';
import { parseDelegation } from '../registry/rules/line-delegate.ts';
import { parseTransfer } from '../registry/rules/line-transfer.ts';

/** One line. Errors: STATEMENT_MALFORMED, CBOR_*. */
export function describeChange({ kind, subject, body }: KeyChange): string {
  const map = asMap(decode(body, { maxBytes: 8192 }), 'body');
  switch (kind) {
    case 'key.rotate': {
      const { keys, next } = parseRotation(map);
      const recovery = next
        ? `${next.threshold} of the recovery keys ${next.recovery.map(id).join(', ')}`
        : 'the same recovery keys';
      return `rotate: author ${subject} signs with ${keys.map(id).join(', ')}, and has ${recovery}`;
    }
    case 'key.revoke': {
      const { keyId, from } = parseRevocation(map);
      return `revoke: author ${subject} withdraws what ${hex(keyId)} signed from entry ${from} on`;
    }
    case 'line.delegate': {
      const { key, granted } = parseDelegation(map);
      return `delegate: ${id(key)} ${granted ? 'may' : 'may no more'} sign releases of line ${subject}`;
    }
    case 'line.transfer':
    default:
      return `transfer: line ${subject} goes to author ${hex(parseTransfer(map).to)}`;
  }
}

function id(key: Uint8Array): string {
  return hex(keyIdOf(key));
}
