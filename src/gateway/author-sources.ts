/** T30: an author's own servers, when no node gives an image. What comes is checked by its digest like everything else. */
import { createPublicClient } from '../net/public-fetch.ts';
import type { ImageSource } from '../reader/download.ts';
import { httpImageSource } from '../reader/image-source.ts';
import { lineText } from '../registry/line.ts';
import type { GatewayConfig } from './config.ts';

/** URL/SHA256 for every URL that the owner's configuration names for the release's line. */
export function authorSources(
  { networks, allowPrivateUrls }: GatewayConfig,
  release: { readonly line: string; readonly sha256: string },
): readonly ImageSource[] {
  const lines = networks.flatMap((network) => network.lines);
  const followed = lines.find(({ line }) => lineText(line) === release.line);
  if (!followed) return [];
  const client = createPublicClient({
    allowPrivate: allowPrivateUrls,
    ...(followed.urlsCa !== null && { ca: followed.urlsCa }),
  });
  return followed.urls.map((url) =>
    httpImageSource({ name: url, url: `${url}/${release.sha256}`, client }),
  );
}
