/** The owner's API: JSON over HTTPS with a bearer token (docs/spec/gateway.md). */
import { gatewayOpenapi } from '../api/gateway-openapi.ts';
import { check, fail } from '../errors.ts';
import { lineText } from '../registry/line.ts';
import type { App } from '../net/server.ts';
import { SNAPSHOT } from './backup.ts';
import type { Campaign } from './campaign.ts';
import { ALL, type Decisions, type Word } from './decisions.ts';
import type { Devices, RegisteredDevice } from './devices.ts';
import type { Downlink } from './downlink-port.ts';
import type { Events } from './events.ts';
import type { Follower } from './follower.ts';
import type { Offers } from './offers.ts';
import { requireToken } from './owner-token.ts';
import { policyFromJson } from './policy-json.ts';
import { describeLine } from './prospect.ts';
import type { Releases } from './releases.ts';

export interface ApiParts {
  readonly name: string;
  readonly token: string;
  readonly devices: Devices;
  readonly offers: Offers;
  readonly releases: Releases;
  readonly decisions: Decisions;
  readonly events: Events;
  readonly campaign: Campaign;
  readonly downlink: Downlink;
  readonly followers: readonly Follower[];
  /** Makes an enrolment bundle. */
  readonly enrol: (model: string | null) => string;
  readonly poll: () => Promise<void>;
  /** Leaves a copy of the database in the data folder, for whoever may read that. */
  readonly snapshot: () => Promise<void>;
}

const WORDS: readonly Word[] = ['consent', 'veto', 'postpone', 'opt-out'];

export function apiRoutes(app: App, parts: ApiParts): void {
  requireToken(app, parts.token);
  app.get('/v1/status', async () => statusOf(parts));
  app.post('/v1/poll', async () => {
    await parts.poll();
    return statusOf(parts);
  });
  app.get('/v1/devices', async () =>
    parts.devices.list().map((device) => describeDevice(parts, device)),
  );
  app.post<{ Params: { id: string } }>('/v1/devices/:id/revoke', async (request) => {
    parts.devices.revoke(request.params.id);
    parts.events.add({ step: 'device', device: request.params.id, detail: 'revoked by the owner' });
    return { revoked: request.params.id };
  });
  app.put<{ Params: { id: string } }>('/v1/devices/:id/group', async (request) => {
    const group = textField(request.body, 'group');
    parts.devices.setGroup(request.params.id, group);
    parts.campaign.review(request.params.id, false);
    return { device: request.params.id, group };
  });
  app.get('/v1/releases', async () =>
    parts.releases.list().map(({ envelope: _envelope, sequence, ...release }) => ({
      ...release,
      sequence: String(sequence),
    })),
  );
  app.get<{ Querystring: { device?: string } }>('/v1/offers', async (request) =>
    parts.offers.list(request.query.device),
  );
  app.post<{ Params: { offer: string } }>('/v1/offers/:offer/cancel', async (request) => {
    const { offer, state } = parts.campaign.cancel(request.params.offer);
    return { offer, state };
  });
  app.post<{ Params: { word: string } }>('/v1/decisions/:word', async (request) =>
    say(parts, request.params.word, request.body),
  );
  app.get<{ Params: { group: string } }>('/v1/groups/:group/policy', async (request) =>
    parts.decisions.policy(request.params.group),
  );
  app.put<{ Params: { group: string } }>('/v1/groups/:group/policy', async (request) => {
    const policy = policyFromJson(request.body);
    parts.decisions.setPolicy(request.params.group, policy);
    parts.events.add({ step: 'policy', detail: `group ${request.params.group}` });
    await parts.campaign.reviewAll();
    return policy;
  });
  app.post('/v1/lines/agree', async (request) => {
    parts.releases.agreeToOwner(textField(request.body, 'line'));
    await parts.campaign.reviewAll();
    return { agreed: true };
  });
  app.get<{ Querystring: { after?: string } }>('/v1/events', async (request) => {
    const after = request.query.after ?? '0';
    check(/^\d{1,15}$/.test(after), 'API_QUERY_INVALID');
    return parts.events.after(Number(after));
  });
  app.post('/v1/snapshot', async () => {
    await parts.snapshot();
    return { snapshot: SNAPSHOT };
  });
  app.post('/v1/enrolment-codes', async (request) => {
    const { model } = (request.body ?? {}) as Readonly<Record<string, unknown>>;
    if (model === undefined || model === null) return { bundle: parts.enrol(null) };
    const right = typeof model === 'string' && model.length > 0 && model.length <= 64;
    check(right, 'API_QUERY_INVALID', '"model" is a text of 1 to 64 characters');
    return { bundle: parts.enrol(model) };
  });
  app.get('/openapi.json', async () => gatewayOpenapi());
}

async function say(parts: ApiParts, word: string, body: unknown): Promise<object> {
  const known =
    WORDS.find((each) => each === word) ?? fail('API_QUERY_INVALID', `one of ${WORDS.join(', ')}`);
  const given = (typeof body === 'object' && body !== null ? body : {}) as Readonly<
    Record<string, unknown>
  >;
  const device = typeof given['device'] === 'string' ? given['device'] : ALL;
  const digest = typeof given['digest'] === 'string' ? given['digest'] : ALL;
  check(
    device === ALL || /^[0-9a-f]{32}$/.test(device),
    'API_QUERY_INVALID',
    '"device" is a device id',
  );
  check(
    digest === ALL || /^[0-9a-f]{64}$/.test(digest),
    'API_QUERY_INVALID',
    '"digest" is a manifest digest',
  );
  const until = given['until'];
  check(
    until === undefined || Number.isSafeInteger(until),
    'API_QUERY_INVALID',
    '"until" is POSIX seconds',
  );
  if (given['takeBack'] === true) parts.decisions.takeBack(known, device, digest);
  else parts.decisions.say(known, device, digest, (until as number | undefined) ?? null);
  parts.events.add({
    step: 'policy',
    ...(device !== ALL && { device }),
    ...(digest !== ALL && { digest }),
    detail: known,
  });
  await parts.campaign.reviewAll();
  return { word: known, device, digest };
}

function statusOf({ name, devices, offers, followers, downlink }: ApiParts): object {
  const all = devices.list();
  return {
    name,
    devices: all.length,
    online: all.filter(({ id }) => downlink.online(id)).length,
    offersOpen: offers.allOpen().length,
    lines: followers.flatMap((follower) =>
      follower.lines.map(({ name: line, line: parts }, position) => {
        const judged = follower.judged(position);
        return {
          name: line,
          ...(judged ? describeLine(judged) : { line: lineText(parts), freshness: 'unknown' }),
        };
      }),
    ),
  };
}

function describeDevice({ campaign, downlink }: ApiParts, device: RegisteredDevice): object {
  const outlook = campaign.outlook(device);
  return {
    ...device,
    online: downlink.online(device.id),
    next:
      outlook === 'no way'
        ? { waits: outlook }
        : outlook && {
            digest: outlook.release.digest,
            version: outlook.release.version,
            urgency: outlook.release.urgency,
            waits: outlook.wait,
          },
  };
}

function textField(body: unknown, field: string): string {
  const value =
    typeof body === 'object' && body !== null
      ? (body as Record<string, unknown>)[field]
      : undefined;
  return typeof value === 'string' && value.length > 0 && value.length <= 256
    ? value
    : fail('API_QUERY_INVALID', `"${field}" is missing`);
}
