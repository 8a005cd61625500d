/** T12: the block by which another orderer takes over: its first transaction is the policy.change that appoints it. */
import { codeOf } from '../errors.ts';
import { openBlock, type Block } from '../registry/block.ts';
import type { NamedNode } from '../registry/policy.ts';
import { nextRoot, ordererOf } from '../registry/policy-change.ts';
import type { Root } from '../registry/root.ts';
import { parseStatement, type Statement } from '../registry/statement.ts';

/** The orderer that a statement appoints after this root; undefined when it is no valid policy.change. */
export function appointedBy(root: Root, statement: Statement): NamedNode | undefined {
  try {
    return ordererOf(nextRoot(root, statement).policy);
  } catch (error) {
    if (codeOf(error)) return undefined;
    throw error;
  }
}

/**
 * The block, when the orderer signed it that its own first transaction appoints after `root`, the policy in force before
 * it; undefined otherwise. `block` is what the bytes hold.
 */
export function openHandOver(
  bytes: Uint8Array,
  block: Block,
  root: Root,
  origin: string,
): Block | undefined {
  const first = block.transactions[0];
  if (!first) return undefined;
  try {
    const appointed = appointedBy(root, parseStatement(first.statement));
    return appointed && openBlock(bytes, appointed.node.statement, appointed.name, origin);
  } catch (error) {
    if (codeOf(error)) return undefined;
    throw error;
  }
}
