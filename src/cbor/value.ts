/** The CBOR items that the formats of this project use, and no others. */

/** A tagged item; only tags that a decoder's caller allows come in. */
export class Tagged {
  readonly tag: number;
  readonly value: Cbor;

  constructor(tag: number, value: Cbor) {
    this.tag = tag;
    this.value = value;
  }
}

/**
 * Integers are `number` from -2^53 to 2^53 - 1, else `bigint`; floats, undefined and simple values
 * have no place.
 */
export type Cbor =
  | number
  | bigint
  | string
  | boolean
  | null
  | Uint8Array
  | readonly Cbor[]
  | ReadonlyMap<Cbor, Cbor>
  | Tagged;
