/**
 * How many registrations a node has under way: more are sent away before their bodies are read, so that those that
 * are let in are answered in a bounded time however many come.
 */
import { fail } from '../errors.ts';
import type { Reply } from '../net/server.ts';

/** Seconds after which whoever was sent away may come again. */
const RETRY_AFTER = 1;

export class Admission {
  readonly #most: number;
  #underWay = 0;

  constructor(most: number) {
    this.#most = most;
  }

  underWay(): number {
    return this.#underWay;
  }

  /** Lets a request in until its answer is sent or its caller is gone. Errors: NODE_OVERLOADED. */
  enter(reply: Reply): void {
    if (this.#underWay >= this.#most) {
      reply.header('retry-after', RETRY_AFTER);
      fail('NODE_OVERLOADED');
    }
    this.#underWay += 1;
    reply.raw.once('close', () => {
      this.#underWay -= 1;
    });
  }
}
