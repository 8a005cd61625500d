/** A group's policy as the owner writes it: only what differs from the defaults. */
import { check, fail } from '../errors.ts';
import { DEFAULT_POLICY, type GroupPolicy } from './policy.ts';

const FIELDS = Object.keys(DEFAULT_POLICY);
const RULES = ['automatic', 'consent', 'never'] as const;

/** Errors: GATEWAY_CONFIG. */
export function policyFromJson(value: unknown): GroupPolicy {
  check(
    typeof value === 'object' && value !== null && !Array.isArray(value),
    'GATEWAY_CONFIG',
    'a policy is an object',
  );
  const given = value as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(given).find((field) => !FIELDS.includes(field));
  check(
    unknown === undefined,
    'GATEWAY_CONFIG',
    `a policy has no field "${unknown}"; known: ${FIELDS.join(', ')}`,
  );
  const all = { ...DEFAULT_POLICY, ...given } as Readonly<Record<string, unknown>>;
  return {
    security: oneOf(all['security'], RULES, 'security'),
    functional: oneOf(all['functional'], RULES, 'functional'),
    validation: oneOf(all['validation'], ['force', 'self'], 'validation'),
    window: windowOf(all['window']),
    pin: pinOf(all['pin']),
    phase: phaseOf(all['phase']),
    stopAtFailurePercent:
      all['stopAtFailurePercent'] === null
        ? null
        : upTo(all['stopAtFailurePercent'], 100, 'stopAtFailurePercent'),
    battery: upTo(all['battery'], 100, 'battery'),
  };
}

function windowOf(value: unknown): GroupPolicy['window'] {
  if (value === null) return null;
  const hours = Array.isArray(value) ? (value as readonly unknown[]) : [];
  const [from, to] = hours;
  check(hours.length === 2, 'GATEWAY_CONFIG', '"window" is [from hour, to hour]');
  return [upTo(from, 23, 'window'), upTo(to, 24, 'window')];
}

function pinOf(value: unknown): string | null {
  if (value === null) return null;
  check(
    typeof value === 'string' && /^\d{1,20}$/.test(value),
    'GATEWAY_CONFIG',
    '"pin" is a sequence, as text',
  );
  return value;
}

function phaseOf(value: unknown): GroupPolicy['phase'] {
  if (value === null) return null;
  check(
    typeof value === 'object' && value !== null,
    'GATEWAY_CONFIG',
    '"phase" is {count, percent, successes}',
  );
  const { count, percent, successes } = value as Readonly<Record<string, unknown>>;
  check(typeof percent === 'boolean', 'GATEWAY_CONFIG', '"phase.percent" is true or false');
  return {
    count: upTo(count, percent ? 100 : 1_000_000, 'phase.count'),
    percent,
    successes: upTo(successes, 1_000_000, 'phase.successes'),
  };
}

function upTo(value: unknown, max: number, what: string): number {
  check(
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max,
    'GATEWAY_CONFIG',
    `"${what}" is a whole number up to ${max}`,
  );
  return value;
}

function oneOf<const T extends string>(value: unknown, options: readonly T[], what: string): T {
  return (
    options.find((option) => option === value) ??
    fail('GATEWAY_CONFIG', `"${what}" is one of ${options.join(', ')}`)
  );
}
