/** The member list that `network init` reads, checked field by field. */
import { check, fail } from '../errors.ts';
import type { Mode, Role } from '../registry/policy.ts';
import type { PlannedMember } from './engine-member.ts';
import type { Replicate } from './holding.ts';
import type { NetworkPlan, PlannedNode, PlannedOperator } from './setup.ts';

type Json = Readonly<Record<string, unknown>>;

const PLAN = [
  'mode',
  'quorum',
  'copies',
  'copiesElsewhere',
  'threshold',
  'maxAge',
  'maxHold',
  'skew',
  'engine',
  'orderer',
  'operators',
  'pskAuthors',
];

const NODE = ['name', 'roles', 'url', 'host', 'port', 'replicate', 'engine'];

/** Errors: NODE_CONFIG; what the numbers must satisfy is for genesis to say (POLICY_*). */
export function parsePlan(text: string): NetworkPlan {
  const plan = object(parseJson(text), 'the member list', PLAN);
  const pskAuthors = plan['pskAuthors'] ?? false;
  check(typeof pskAuthors === 'boolean', 'NODE_CONFIG', '"pskAuthors" is true or false');
  const engine = oneOf(plan['engine'] ?? 'local', ['local', 'cometbft'], 'engine');
  check(
    (engine === 'local') === (plan['orderer'] !== undefined),
    'NODE_CONFIG',
    'the local engine has an "orderer", and the engine cometbft none',
  );
  return {
    mode: oneOf<Mode>(plan['mode'], ['private', 'consortium', 'trial'], 'mode'),
    quorum: whole(plan, 'quorum'),
    copies: whole(plan, 'copies'),
    copiesElsewhere: whole(plan, 'copiesElsewhere'),
    threshold: whole(plan, 'threshold'),
    maxAge: whole(plan, 'maxAge'),
    maxHold: whole(plan, 'maxHold'),
    skew: whole(plan, 'skew'),
    engine,
    orderer: engine === 'local' ? string(plan, 'orderer') : '',
    operators: list(plan['operators'], 'operators').map(parseOperator),
    pskAuthors,
  };
}

/** One operator of the member list, by itself. Errors: NODE_CONFIG. */
export function parseOperatorPlan(text: string): PlannedOperator {
  return parseOperator(parseJson(text));
}

function parseOperator(value: unknown): PlannedOperator {
  const operator = object(value, 'an operator', ['name', 'kind', 'nodes']);
  return {
    name: string(operator, 'name'),
    kind: oneOf(operator['kind'], ['author', 'non-author'], 'kind'),
    nodes: list(operator['nodes'], 'nodes').map(parseNode),
  };
}

function parseNode(value: unknown): PlannedNode {
  const node = object(value, 'a node', NODE);
  const { replicate, engine } = node;
  return {
    name: string(node, 'name'),
    roles: list(node['roles'], 'roles').map((role) =>
      oneOf<Role>(role, ['general', 'registration', 'retrieval'], 'role'),
    ),
    url: string(node, 'url'),
    host: string(node, 'host'),
    port: whole(node, 'port'),
    ...(replicate !== undefined && {
      replicate: oneOf<Replicate>(replicate, ['assigned', 'all', 'none'], 'replicate'),
    }),
    ...(engine !== undefined && { engine: parseMember(engine) }),
  };
}

function parseMember(value: unknown): PlannedMember {
  const engine = object(value, "a node's engine", ['address', 'validator']);
  const { validator = true } = engine;
  check(typeof validator === 'boolean', 'NODE_CONFIG', '"validator" is true or false');
  return { address: string(engine, 'address'), validator };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    return fail('NODE_CONFIG', 'the member list is not JSON', {}, cause);
  }
}

function object(value: unknown, what: string, fields: readonly string[]): Json {
  check(
    typeof value === 'object' && value !== null && !Array.isArray(value),
    'NODE_CONFIG',
    `${what} is no object`,
  );
  const unknown = Object.keys(value).find((field) => !fields.includes(field));
  check(
    unknown === undefined,
    'NODE_CONFIG',
    `${what} has an unknown field "${unknown}"; known: ${fields.join(', ')}`,
  );
  return value as Json;
}

function list(value: unknown, what: string): readonly unknown[] {
  return Array.isArray(value)
    ? (value as readonly unknown[])
    : fail('NODE_CONFIG', `"${what}" is no list`);
}

function string(json: Json, field: string): string {
  const value = json[field];
  return typeof value === 'string'
    ? value
    : fail('NODE_CONFIG', `"${field}" is missing or no text`);
}

function whole(json: Json, field: string): number {
  const value = json[field];
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? value
    : fail('NODE_CONFIG', `"${field}" is missing or no whole number`);
}

function oneOf<const T extends string>(value: unknown, allowed: readonly T[], what: string): T {
  return (
    allowed.find((option) => option === value) ??
    fail('NODE_CONFIG', `"${what}" is one of ${allowed.join(', ')}`)
  );
}
