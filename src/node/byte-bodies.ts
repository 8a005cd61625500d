/** Bodies that a node's routes take: bytes, of the media types in docs/spec/net.md, and always some. */
import { check } from '../errors.ts';
import type { App } from '../net/server.ts';

/**
 * For routes added from here on: a POST or PUT without a body, or with JSON, is refused before its handler sees it.
 * Errors: NET_REQUEST_INVALID.
 */
export function takeOnlyBytes(app: App): void {
  app.removeContentTypeParser('application/json');
  app.addHook('preValidation', async ({ method, is404, body }) => {
    const carriesBytes = body instanceof Uint8Array || (method !== 'POST' && method !== 'PUT');
    check(carriesBytes || is404, 'NET_REQUEST_INVALID', 'a body of bytes is needed');
  });
}
