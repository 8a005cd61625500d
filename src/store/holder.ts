/** The port to someone who says that it has blocks. Nothing that it answers is believed. */
export interface Holder {
  readonly name: string;
  /**
   * The block's bytes, unverified. Rejects with STORE_BLOCK_MISSING when it does not have the block, with any
   * other error when it can't answer now. Never more than `maxBytes`.
   */
  getBlock(cid: Uint8Array, maxBytes: number, signal: AbortSignal): Promise<Uint8Array>;
}
