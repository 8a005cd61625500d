/**
 * How many images are sent at once: each costs about a mebibyte while its reader is slow. More wait in a row, as many of
 * a house do when a release comes; who waits too long, or finds the row full, is told to come again.
 */
import { clientAddress } from '../net/limits.ts';
import { sendProblem, type Reply, type Request } from '../net/server.ts';

export interface TransferLimits {
  readonly all: number;
  /** Of one address, so that nobody alone takes them all. */
  readonly perClient: number;
  /** That wait, all together. */
  readonly waiting: number;
  /** Milliseconds. */
  readonly patience: number;
  /** Milliseconds after which a transfer is cut; whoever reads as slowly goes on with a range. */
  readonly longest: number;
}

interface Waiting {
  readonly client: string;
  begin(): void;
}

export const TRANSFERS: TransferLimits = {
  all: 64,
  perClient: 16,
  waiting: 1024,
  patience: 30_000,
  longest: 600_000,
};
const RETRY_AFTER = 5;

export class Transfers {
  readonly #limits: TransferLimits;
  readonly #perClient = new Map<string, number>();
  /** In order of arrival. */
  readonly #row = new Set<Waiting>();
  #all = 0;

  constructor(limits: TransferLimits = TRANSFERS) {
    this.#limits = limits;
  }

  /** As a hook: lets a request in, now or when it is its turn, until its answer is sent or its caller is gone. */
  readonly enter = (request: Request, reply: Reply, next: () => void): void => {
    const client = clientAddress(request.ip);
    // A head is sent from the database's word: nothing is read.
    if (request.method === 'HEAD') return next();
    const { waiting, patience } = this.#limits;
    if (this.#free(client)) return this.#begin(client, reply, next);
    if (this.#row.size >= waiting) return overloaded(reply);
    const late = setTimeout(() => {
      gone();
      overloaded(reply);
    }, patience);
    const mine: Waiting = {
      client,
      begin: () => {
        gone();
        reply.raw.off('close', gone);
        this.#begin(client, reply, next);
      },
    };
    const gone = (): void => {
      clearTimeout(late);
      this.#row.delete(mine);
    };
    this.#row.add(mine);
    reply.raw.once('close', gone);
    return undefined;
  };

  #free(client: string): boolean {
    const { all, perClient } = this.#limits;
    return this.#all < all && (this.#perClient.get(client) ?? 0) < perClient;
  }

  #begin(client: string, reply: Reply, next: () => void): void {
    this.#all += 1;
    this.#perClient.set(client, (this.#perClient.get(client) ?? 0) + 1);
    const cut = setTimeout(() => reply.raw.destroy(), this.#limits.longest).unref();
    reply.raw.once('close', () => {
      clearTimeout(cut);
      this.#all -= 1;
      const left = (this.#perClient.get(client) ?? 1) - 1;
      if (left > 0) this.#perClient.set(client, left);
      else this.#perClient.delete(client);
      this.#letIn();
    });
    next();
  }

  #letIn(): void {
    for (const each of this.#row) {
      if (this.#all >= this.#limits.all) return;
      if (this.#free(each.client)) each.begin();
    }
  }
}

function overloaded(reply: Reply): void {
  sendProblem(reply.header('retry-after', RETRY_AFTER), 503, 'NODE_OVERLOADED');
}
