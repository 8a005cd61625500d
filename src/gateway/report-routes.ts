/** The owner's calls about reports: what they say, batches now, erasing (docs/spec/report-batch.md). */
import { fromHex } from '../bytes.ts';
import { fail } from '../errors.ts';
import type { App } from '../net/server.ts';
import type { Devices } from './devices.ts';
import type { Reporting, OwnersReports } from './reporting.ts';

export function reportRoutes(app: App, { reporting, devices }: ReportRouteParts): void {
  app.get('/v1/report-batches', async (): Promise<OwnersReports> => reporting.list());
  app.post('/v1/report-batches/flush', async () => {
    await reporting.flush();
    return reporting.list();
  });
  app.post('/v1/report-batches/erase', async (request) => {
    const { root, device } = (request.body ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof root === 'string') return { erased: await reporting.eraseBatch(fromHex(root, 32)) };
    if (typeof device !== 'string')
      return fail('API_QUERY_INVALID', '"root" or "device" is needed');
    const key = devices.key(device) ?? fail('GATEWAY_DEVICE_UNKNOWN', 'no key is enrolled');
    return { erased: await reporting.eraseDevice(device, key) };
  });
}

export interface ReportRouteParts {
  readonly reporting: Reporting;
  readonly devices: Devices;
}
