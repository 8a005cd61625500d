/** The device's signed SUIT report about one release (design section 5; T25 names what it signs). */
import { hex } from '../bytes.ts';
import type { Cbor } from '../cbor/value.ts';
import * as label from '../cose/claims.ts';
import { algorithmFor } from '../cose/algorithm.ts';
import { thumbprint } from '../cose/key.ts';
import type { PrivateKey } from '../crypto/key.ts';
import type { Root } from '../registry/root.ts';
import { createReport, type Failure } from '../suit/report.ts';
import type { ReportEntry } from '../suit/record.ts';

export interface ReportInput {
  /** SUIT_Digest, encoded. */
  readonly digest: Uint8Array;
  readonly referenceUri: string;
  readonly records: readonly ReportEntry[];
  readonly result: true | Failure;
  /** Grows with every report of this device. */
  readonly counter: number;
  /** Size of the head that the release was accepted under. */
  readonly headSize: number;
  /** `fresh(own clock)`, `stale(age)`, ...: T18 has the report say so. */
  readonly freshness: string;
  /** The image was stored unchanged and not run. */
  readonly opaque: boolean;
  /** Of the gateway's offer that it answers (T25). */
  readonly nonce: Uint8Array | undefined;
}

export function signReport(key: PrivateKey, root: Root, input: ReportInput): Uint8Array {
  const { counter, headSize, freshness, opaque, ...report } = input;
  const id = thumbprint(key.publicKey);
  const claims = new Map<Cbor, Cbor>([
    [label.ISS, hex(id)],
    [label.AUD, hex(root.networkId)],
    [label.COUNTER, counter],
    [label.HEAD_SIZE, headSize],
    [label.FRESHNESS, freshness],
    [label.OPAQUE, opaque],
  ]);
  const header = new Map<Cbor, Cbor>([
    [label.ALG, algorithmFor(key.curve)],
    [label.KID, id],
    [label.CWT_CLAIMS, claims],
    [label.TYP, 'application/firmament.report+cbor'],
  ]);
  return createReport(report, key, header);
}
