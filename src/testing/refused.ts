/** What tests say of refusals over HTTP. */
import assert from 'node:assert/strict';
import { FirmamentError } from '../errors.ts';

/** The call is refused with this HTTP status and code. */
export async function assertRefused(
  call: Promise<unknown>,
  status: number,
  code: string,
): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof FirmamentError, String(error));
    assert.deepEqual([error.details['status'], error.code], [status, code], error.message);
    return true;
  });
}
