/** Shapes of what the owner's API of a gateway takes and gives, as JSON Schema. */
export type Schema = Readonly<Record<string, unknown>>;

const TEXT: Schema = { type: 'string' };
const COUNT: Schema = { type: 'integer', minimum: 0 };
const TIME: Schema = { type: 'integer', description: 'POSIX seconds' };
const HEX32: Schema = { type: 'string', pattern: '^[0-9a-f]{32}$' };
const HEX64: Schema = { type: 'string', pattern: '^[0-9a-f]{64}$' };
const SEQUENCE: Schema = { type: 'string', pattern: '^[0-9]{1,20}$' };
const URGENCY: Schema = { enum: ['security', 'functional'] };

function object(
  properties: Readonly<Record<string, Schema>>,
  optional: readonly string[] = [],
): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, required, additionalProperties: false };
}

function orNull(schema: Schema, description?: string): Schema {
  return { anyOf: [schema, { type: 'null' }], ...(description !== undefined && { description }) };
}

const RULE: Schema = { enum: ['automatic', 'consent', 'never'] };
const POLICY: Readonly<Record<string, Schema>> = {
  security: RULE,
  functional: RULE,
  validation: { enum: ['force', 'self'] },
  window: orNull(
    { type: 'array', items: { type: 'integer', minimum: 0, maximum: 24 } },
    'hours from and to between which installs may begin',
  ),
  pin: orNull(SEQUENCE, 'the highest sequence that is offered'),
  phase: orNull(object({ count: COUNT, percent: { type: 'boolean' }, successes: COUNT })),
  stopAtFailurePercent: orNull({ type: 'integer', minimum: 0, maximum: 100 }),
  battery: { type: 'integer', minimum: 0, maximum: 100 },
};

export const GATEWAY_SCHEMAS = {
  Status: object({
    name: TEXT,
    devices: COUNT,
    online: COUNT,
    offersOpen: COUNT,
    lines: {
      type: 'array',
      items: object(
        {
          name: TEXT,
          line: { type: 'string', description: 'AUTHOR/VENDOR/CLASS/TRACK' },
          freshness: TEXT,
          newest: orNull(object({ digest: HEX64, sequence: SEQUENCE })),
          head: { type: 'integer', minimum: 0, description: 'size of the log that was proven' },
        },
        ['newest', 'head'],
      ),
    },
  }),
  Device: object(
    {
      id: HEX32,
      tier: { enum: ['certificate', 'psk'] },
      name: TEXT,
      type: TEXT,
      model: TEXT,
      hardware: TEXT,
      mac: orNull(TEXT, 'a label: it proves nothing'),
      group: TEXT,
      status: { enum: ['active', 'revoked'] },
      current: orNull(object({ digest: HEX64, sequence: SEQUENCE, version: TEXT, sha256: HEX64 })),
      known: { type: 'boolean', description: 'it has said what it runs' },
      battery: orNull({ type: 'integer', minimum: 0, maximum: 100 }),
      lastSeen: orNull(TIME),
      vendorClaim: orNull(TEXT, 'vendor whose certificate it showed when it enrolled'),
      online: { type: 'boolean' },
      next: {
        description: 'what it could have, and what stands between; absent when there is nothing',
        anyOf: [
          object({ waits: { enum: ['no way'] } }),
          object({ digest: HEX64, version: TEXT, urgency: URGENCY, waits: orNull(TEXT) }),
        ],
      },
    },
    ['next'],
  ),
  Release: object({
    digest: HEX64,
    line: TEXT,
    sequence: SEQUENCE,
    version: TEXT,
    urgency: URGENCY,
    sha256: HEX64,
    size: COUNT,
    stored: { type: 'boolean', description: 'its image is in the repository' },
  }),
  Offer: object({
    offer: HEX32,
    device: HEX32,
    digest: HEX64,
    mode: { enum: ['force', 'self'] },
    nonce: HEX32,
    state: {
      enum: [
        'offered',
        'accepted',
        'downloading',
        'installing',
        'postponed',
        'installed',
        'rolled-back',
        'refused',
        'cancelled',
        'superseded',
      ],
    },
    detail: TEXT,
    attempt: { type: 'integer', minimum: 1 },
    made: TIME,
    changed: TIME,
    reported: { type: 'boolean', description: 'a signed report counted for it' },
  }),
  Event: object(
    { id: COUNT, time: TIME, step: TEXT, device: HEX32, line: TEXT, digest: HEX64, detail: TEXT },
    ['device', 'line', 'digest'],
  ),
  Policy: object(POLICY),
  PolicyChange: object(POLICY, Object.keys(POLICY)),
  Problem: {
    type: 'object',
    properties: {
      type: TEXT,
      title: TEXT,
      status: { type: 'integer' },
      code: { type: 'string', description: 'docs/spec/errors.md' },
      detail: TEXT,
    },
    required: ['type', 'title', 'status', 'code'],
  },
} as const satisfies Readonly<Record<string, Schema>>;
