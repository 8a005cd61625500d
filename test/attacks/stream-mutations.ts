/** Mutations of what bounds a node's stream of changes, at both of its ends: it is a hint, and costs little whoever talks. */
import { mutations } from './mutation-list.ts';
import type { Mutation } from './mutations.ts';

const ROUTE = 'src/node/stream-route.ts';
const LISTENING = 'src/gateway/listening.ts';

export const STREAM_MUTATIONS: readonly Mutation[] = [
  ...mutations('T28', ROUTE, 'src/node/stream-route.test.ts', [
    ['own >= limits.perClient', 'false'],
    ['listeners.size >= limits.listeners', 'false'],
    ['if (listener.stream.readableLength > limits.backlog) listener.stream.destroy();', ''],
    ['for (const listener of listeners) push(listener, HEARTBEAT);', ''],
  ]),
  ...mutations('T28', 'src/reader/changes.ts', 'src/node/stream-route.test.ts', [
    ["check(credit >= 0, 'API_STREAM_MALFORMED', 'a flood');", ''],
  ]),
  ...mutations('T28', 'src/api/changes.ts', 'src/api/changes.test.ts', [
    ["check(kept.length <= MAX_EVENT, 'API_STREAM_MALFORMED', 'an event without end');", ''],
    ["check(event.length <= MAX_EVENT, 'API_STREAM_MALFORMED', 'a large event');", ''],
    ['Array.isArray(lines) && lines.length <= MAX_CHANGED_LINES', 'Array.isArray(lines)'],
  ]),
  ...mutations('T28', LISTENING, 'src/gateway/listening.test.ts', [
    ["check(this.#lies < LIES, 'GATEWAY_HINT_FALSE');", ''],
    ['if (silent) this.#leave?.abort();', ''],
    ['if (lied) follower.distrust(node);', ''],
    [
      'return Math.min(longestGap, gap * 2 ** Math.max(0, Math.min(this.#vain - VAIN, 16)));',
      'return longestGap > 0 ? gap / 20 : 0;',
    ],
    ['this.#leftUntil.set(node, performance.now() + pause);', ''],
  ]),
  ...mutations('T25', 'src/gateway/message-queue.ts', 'src/gateway/message-queue.test.ts', [
    [
      'for (const message of messages) this.#takeOne(message);\n      return;\n    }\n    for',
      'for (const { taken } of messages) taken(undefined);\n      return;\n    }\n    for',
    ],
  ]),
];
