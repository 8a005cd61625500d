/** A source of cryptographically strong random bytes. The only way that chance enters a part. */
export type Random = (length: number) => Uint8Array;
