/**
 * How many images a node sends at once. Each costs about a mebibyte while its reader is slow, however little that
 * reads: more are sent away, and ask another node or come again.
 */
import { clientAddress } from '../net/limits.ts';
import { sendProblem, type Reply, type Request } from '../net/server.ts';

export const MAX_TRANSFERS = 256;
/** Of one address, so that nobody alone takes them all. */
export const MAX_TRANSFERS_PER_CLIENT = 64;
const RETRY_AFTER = 1;

export class Transfers {
  readonly #perClient = new Map<string, number>();
  #all = 0;

  /** As a hook: lets a request in until its answer is sent or its caller is gone, or answers NODE_OVERLOADED. */
  readonly enter = (request: Request, reply: Reply, next: () => void): void => {
    const client = clientAddress(request.ip);
    const own = this.#perClient.get(client) ?? 0;
    if (this.#all >= MAX_TRANSFERS || own >= MAX_TRANSFERS_PER_CLIENT) {
      sendProblem(reply.header('retry-after', RETRY_AFTER), 503, 'NODE_OVERLOADED');
      return;
    }
    this.#all += 1;
    this.#perClient.set(client, own + 1);
    reply.raw.once('close', () => {
      this.#all -= 1;
      const left = (this.#perClient.get(client) ?? 1) - 1;
      if (left > 0) this.#perClient.set(client, left);
      else this.#perClient.delete(client);
    });
    next();
  };
}
