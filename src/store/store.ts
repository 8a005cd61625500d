/** The port to a store of blocks. Backends: a directory (disk.ts). */

/**
 * Blocks by CID (36 bytes). Any number of calls may be under way at once, also for one CID. A block is there
 * as a whole or not at all, at every instant and after every crash.
 */
export interface Store {
  /** Whether the block is there, without reading it: `get` may still find it damaged. */
  has(cid: Uint8Array): Promise<boolean>;
  /**
   * The block, its bytes checked against the CID on each call; undefined when it is not there, or was
   * damaged, in which case it is gone afterwards. Errors: STORE_CID_INVALID, STORE_IO.
   */
  get(cid: Uint8Array): Promise<Uint8Array | undefined>;
  /**
   * Returns once the block is durable: a power cut after that does not lose it. Putting a block that is there
   * is cheap and repairs it if it was damaged. Errors: STORE_CID_INVALID, STORE_BLOCK_TOO_LARGE,
   * STORE_DIGEST_MISMATCH (nothing is kept then), STORE_IO.
   */
  put(cid: Uint8Array, bytes: Uint8Array): Promise<void>;
  /** No error when there is no such block. Errors: STORE_CID_INVALID, STORE_IO. */
  delete(cid: Uint8Array): Promise<void>;
  /** The CIDs of all blocks, in no order; what is put or deleted meanwhile may show or not. */
  list(): AsyncIterable<Uint8Array>;
}
