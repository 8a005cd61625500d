/** What is remembered of lines goes by position: here it follows them when the owner's configuration moves them. */
import { anchoredChain } from '../trust/links.ts';
import type { TrustState } from '../trust/state.ts';
import type { NetworkConfig } from './config-lines.ts';

/** The lists of a state, which go by position, in the order of today's lines; a line that is new begins at its anchor. */
export function inOrderOf(
  lines: readonly string[],
  before: readonly string[],
  state: TrustState,
  { lines: followed }: NetworkConfig,
): TrustState {
  const places = lines.map((text) => before.indexOf(text));
  return {
    ...state,
    chains: followed.map(({ anchor }, i) => state.chains[places[i] ?? -1] ?? anchoredChain(anchor)),
    lowest: places.map((place) => state.lowest[place] ?? 0n),
  };
}
