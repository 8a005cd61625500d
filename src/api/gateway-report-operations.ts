/** The calls about reports in the OpenAPI document of a gateway (docs/spec/report-batch.md). */
import type { GatewayOperation } from './gateway-operation.ts';
import type { Schema } from './gateway-schemas.ts';

const TEXT: Schema = { type: 'string' };
const WHOLE: Schema = { type: 'integer' };
const of = (properties: Readonly<Record<string, Schema>>, required: readonly string[]): Schema => ({
  type: 'object',
  properties,
  required: [...required],
});
const all = (properties: Readonly<Record<string, Schema>>): Schema =>
  of(properties, Object.keys(properties));
const listOf = (items: Schema): Schema => ({ type: 'array', items });

const REPORTS = all({
  releases: listOf(
    all({
      line: TEXT,
      release: TEXT,
      devices: WHOLE,
      results: { type: 'object', additionalProperties: WHOLE },
    }),
  ),
  batches: listOf(
    of(
      {
        root: TEXT,
        network: TEXT,
        author: TEXT,
        made: WHOLE,
        state: { type: 'string', enum: ['waiting', 'handed over', 'on the ledger'] },
        erased: { type: 'boolean' },
        entry: { anyOf: [WHOLE, { type: 'null' }] },
        from: WHOLE,
        until: WHOLE,
        count: WHOLE,
        missing: WHOLE,
        refused: listOf(all({ leaf: TEXT, code: TEXT })),
      },
      ['root', 'network', 'author', 'made', 'state', 'erased', 'entry'],
    ),
  ),
});

export const REPORT_OPERATIONS: readonly GatewayOperation[] = [
  {
    method: 'get',
    path: '/v1/report-batches',
    summary: 'What devices reported, and how far each batch for an author is',
    answer: 'the newest batch first',
    gives: REPORTS,
  },
  {
    method: 'post',
    path: '/v1/report-batches/flush',
    summary: 'Make batches now, hand them over, ask for their proofs',
    answer: 'as it is afterwards',
    gives: REPORTS,
  },
  {
    method: 'post',
    path: '/v1/report-batches/erase',
    summary: "Erase a whole batch, or what is kept here of a device's reports",
    takes: of(
      { root: { type: 'string', pattern: '^[0-9a-f]{64}$' }, device: { type: 'string' } },
      [],
    ),
    answer: 'how many records are gone',
    gives: all({ erased: WHOLE }),
    refusals: {
      400: {
        API_QUERY_INVALID: 'neither a root nor a device',
        BYTES_MALFORMED: 'the root is not 64 hex digits',
      },
      404: { BATCH_UNKNOWN: 'no such batch', GATEWAY_DEVICE_UNKNOWN: 'no such device' },
    },
  },
];
