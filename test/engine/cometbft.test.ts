import { test } from 'node:test';
import { requireComet } from '../../src/testing/cometbft.ts';
import { startCometEngine } from '../../src/testing/engine/comet-engine.ts';
import { engineSuite } from '../../src/testing/engine/suite.ts';

test('the consortium engine: four members and one who follows', async (t) => {
  const binary = await requireComet(t);
  if (binary !== undefined) await engineSuite(t, () => startCometEngine(binary));
});
