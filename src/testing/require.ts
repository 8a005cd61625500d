/** Tests that need a part of the machine which is not there: they skip, unless that part is required. */
import assert from 'node:assert/strict';

/**
 * Says whether the test may go on. Without the part `name` it skips the test with `how` to get it,
 * or fails it when `FIRMAMENT_REQUIRE` (names, separated by commas) names the part, so that the
 * place where everything is installed cannot skip by accident.
 */
export function requirePart(
  test: { skip(message?: string): void },
  name: string,
  present: boolean,
  how: string,
): boolean {
  if (present) return true;
  const required = (process.env['FIRMAMENT_REQUIRE'] ?? '').split(',').map((part) => part.trim());
  assert.ok(!required.includes(name), `"${name}" is required here and missing: ${how}`);
  test.skip(`needs "${name}": ${how}`);
  return false;
}
