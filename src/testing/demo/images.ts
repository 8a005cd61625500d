/** The firmware that the demo publishes. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { hex } from '../../bytes.ts';
import { buildSampleFirmware } from '../../device/firmware/sample.ts';

export const MODELS = ['lamp', 'lock'] as const;
export type Model = (typeof MODELS)[number];

const KIB = 1024;

export interface DemoImage {
  readonly file: string;
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

export interface DemoImages {
  of(model: Model, version: '1.0.0' | '2.0.0'): DemoImage;
  /** What 2.0.0 is, for people. */
  readonly about: string;
}

/** Samples of both models; with `own`, that file is 2.0.0 of both. */
export function makeImages(folder: string, own: string | undefined): DemoImages {
  mkdirSync(join(folder, 'images'), { recursive: true });
  const images = new Map<string, DemoImage>();
  for (const model of MODELS) {
    images.set(`${model} 1.0.0`, sampleImage(folder, model, '1.0.0', 384 * KIB));
    const newer =
      own === undefined ? sampleImage(folder, model, '2.0.0', 1280 * KIB) : imageAt(own);
    images.set(`${model} 2.0.0`, newer);
  }
  return {
    of: (model, version) => images.get(`${model} ${version}`) as DemoImage,
    about: own === undefined ? 'the sample firmware' : `${own}, installed as it is`,
  };
}

/** Firmware of ours for a model, of this many bytes, in the demo's folder. */
export function sampleImage(
  folder: string,
  model: string,
  version: string,
  size: number,
): DemoImage {
  const file = join(folder, 'images', `${model}-${version}.bin`);
  writeFileSync(file, buildSampleFirmware({ version, model, size }));
  return imageAt(file);
}

function imageAt(file: string): DemoImage {
  const bytes = readFileSync(file);
  return { file, sha256: hex(sha256(bytes)), size: bytes.length };
}
