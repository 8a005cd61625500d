/** Mutations of a gateway's core: policies before its root (T08), reports (T25), announcements (T28), URLs that an author wrote (T30). */
import { mutations } from './mutation-list.ts';
import type { Mutation } from './mutations.ts';

const T25 = 'test/attacks/T25-reports.test.ts';
const T28 = 'test/attacks/T28-announcement.test.ts';
const BACKUP = 'test/e2e/gateway-backup.test.ts';
const T30 = 'test/attacks/T30-author-urls.test.ts';

export const GATEWAY_MUTATIONS: readonly Mutation[] = [
  ...mutations('T08', 'src/gateway/policy-history.ts', 'src/gateway/policy-history.test.ts', [
    [
      "check(equal(genesis.networkId, networkId), 'TRUST_POLICY_CHAIN_INVALID', 'another genesis');",
      '',
    ],
    ['equal(known.hash, root.hash)', 'true'],
  ]),
  ...mutations('T25', 'src/gateway/inbox.ts', T25, [
    ["check(parts.devices.get(device)?.status === 'active', 'GATEWAY_DEVICE_UNKNOWN');", ''],
    ['hex(digest) === offer.digest', 'true'],
    ['network === parts.networkOf(line)', 'true'],
    ['parts.devices.takeReportCounter(device, counter);', ''],
  ]),
  ...mutations('T25', 'src/gateway/offers.ts', T25, [
    ['WHERE device = ? AND nonce = ?', 'WHERE ? IS NOT NULL AND nonce = ?'],
    ['WHERE offer = ? AND reported = 0', 'WHERE offer = ?'],
  ]),
  ...mutations('T25', 'src/gateway/devices.ts', T25, [
    ['WHERE id = ? AND report_counter < ?', 'WHERE id = ? AND 0 < ?'],
  ]),
  ...mutations('T29', 'src/gateway/backup.ts', BACKUP, [
    ["database.exec('DELETE FROM code WHERE device IS NULL');", ''],
  ]),
  ...mutations('T25', 'src/gateway/backup.ts', BACKUP, [
    ["database.exec('UPDATE offer SET reported = 1');", ''],
    ["SET state = 'superseded', detail", 'SET detail'],
  ]),
  ...mutations('T28', 'src/gateway/campaign.ts', T28, [
    ["wait: release.stored ? null : 'download'", 'wait: null'],
  ]),
  ...mutations('T28', 'src/reader/download.ts', T28, [
    ['if (part.digest() === sha256) {', 'if (part.digest()) {'],
  ]),
  ...mutations('T28', 'src/trust/accept.ts', T28, [
    ['  checkHead(state.head, proven);\n', ''],
    [
      `  check(asked, 'TRUST_NOT_NEWEST', 'another release than the one asked for');
  const as = offeredAs(proven.value, release.digest);
  check(as !== undefined, 'TRUST_NOT_NEWEST', undefined, { sequence });`,
      '  const as = offeredAs(proven.value, release.digest);',
    ],
  ]),
  ...mutations('T30', 'src/author/serve.ts', 'src/cli/author-serve.test.ts', [
    ["if (!/^[0-9a-f]{64}$/.test(name)) fail('ANCHOR_UNKNOWN');", ''],
  ]),
  ...mutations('T25', 'src/gateway/owner-token.ts', 'src/gateway/owner-token.test.ts', [
    ['if (isToken(request, token)) return undefined;', 'return undefined;'],
    ['    limiter.failed(client);\n', ''],
  ]),
  ...mutations('T30', 'src/net/public-fetch.ts', T30, [
    ['allowPrivate || addresses.every(isPublic)', 'true'],
    ['addresses.every(isPublic)', 'addresses.some(isPublic)'],
    ["if (family === 4) return !special.check(address, 'ipv4');", 'if (family === 4) return true;'],
    ["unicast.check(address, 'ipv6') &&", ''],
    ['host: address,', 'host,'],
    ["url?.protocol !== 'https:' ||", '!url ||'],
    ["check(received <= maxBytes, 'NET_TOO_LARGE', undefined, { maxBytes });", ''],
    ['rejectUnauthorized: true', 'rejectUnauthorized: false'],
  ]),
];
