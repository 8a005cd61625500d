/** Listening to a node of each network that the gateway follows. */
import { codeOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { createStreamClient, listenTo } from '../reader/changes.ts';
import { nodesOf } from '../registry/policy.ts';
import type { Events } from './events.ts';
import type { Follower } from './follower.ts';
import { Listening, type ListeningTiming } from './listening.ts';
import { pinOf } from './node-pins.ts';

export interface ListenAllParts {
  /** A round over all lines; one that is under way counts. */
  readonly round: () => Promise<void>;
  readonly events: Events;
  readonly logger: Logger;
  readonly timing?: Partial<ListeningTiming>;
}

export interface ListeningToAll extends AsyncDisposable {
  /** After a round that nobody caused. */
  roundEnded(): void;
}

/** Until it is disposed of. */
export function listenAll(
  followers: readonly Follower[],
  { round, events, logger, timing }: ListenAllParts,
): ListeningToAll {
  const cleanup = new AsyncDisposableStack();
  const all = followers.map((follower) => {
    const client = cleanup.use(createStreamClient((origin) => pinOf(follower.root, origin)));
    return cleanup.use(
      new Listening({
        follower,
        events,
        logger,
        ...(timing && { timing }),
        listen: (name, signal) => {
          const since = Math.min(...follower.headSizes());
          const url = nodesOf(follower.root.policy).find((each) => each.name === name)?.node.url;
          return listenTo(client, url ?? '', { signal, since: since > 0 ? since : undefined });
        },
        async round() {
          try {
            await round();
          } catch (error) {
            logger.error('a part of the gateway failed', { code: codeOf(error), error });
          }
        },
      }),
    );
  });
  return {
    roundEnded() {
      for (const each of all) each.roundEnded();
    },
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}
