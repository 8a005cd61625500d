/**
 * How many registrations a node has under way: more are sent away before their bodies are read, so that those that
 * are let in are answered in a bounded time however many come.
 */
import { sendProblem, type Reply, type Request } from '../net/server.ts';

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

  /** As a hook: lets a request in until its answer is sent or its caller is gone, or answers NODE_OVERLOADED. */
  readonly enter = (_request: Request, reply: Reply, next: () => void): void => {
    if (this.#underWay >= this.#most) {
      // Not thrown: to send many away must cost little.
      sendProblem(reply.header('retry-after', RETRY_AFTER), 503, 'NODE_OVERLOADED');
      return;
    }
    this.#underWay += 1;
    reply.raw.once('close', () => {
      this.#underWay -= 1;
    });
    next();
  };
}
