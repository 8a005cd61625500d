/** One call of the owner's API, as its OpenAPI document describes it. */
import type { Schema } from './gateway-schemas.ts';

export interface GatewayOperation {
  readonly method: 'get' | 'post' | 'put';
  /** With `{name}` for a part that varies. */
  readonly path: string;
  readonly summary: string;
  /** Of the parts of the path that vary. */
  readonly parts?: Readonly<Record<string, string>>;
  /** Optional parameters of the query. */
  readonly query?: Readonly<Record<string, string>>;
  /** Of the JSON body. */
  readonly takes?: Schema;
  /** The body may be left out. */
  readonly optional?: boolean;
  readonly answer: string;
  /** Of the JSON answer; undefined: it is text. */
  readonly gives?: Schema;
  /** Of its own, by status: code and when. */
  readonly refusals?: Readonly<Record<number, Readonly<Record<string, string>>>>;
}
