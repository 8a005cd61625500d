import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics } from './metrics.ts';

test('the text is what Prometheus reads', () => {
  const metrics = createMetrics();
  const asked = metrics.counter('asked_total', 'How often\nit was asked.', ['path', 'code']);
  const now: { size?: number } = {};
  metrics.gauge('size', 'How large it is.', () => now.size);
  const seconds = metrics.histogram('took_seconds', 'How long it took.', [0.1, 1], ['path']);
  assert.equal(metrics.text(), '\n');
  asked.add(['/a', 'A "quote"\\']);
  asked.add(['/a', 'A "quote"\\'], 2);
  seconds.observe(0.05, ['/a']);
  seconds.observe(0.5, ['/a']);
  seconds.observe(5, ['/a']);
  now.size = 7;
  assert.deepEqual(metrics.text().split('\n'), [
    '# HELP asked_total How often\\nit was asked.',
    '# TYPE asked_total counter',
    'asked_total{path="/a",code="A \\"quote\\"\\\\"} 3',
    '# HELP size How large it is.',
    '# TYPE size gauge',
    'size 7',
    '# HELP took_seconds How long it took.',
    '# TYPE took_seconds histogram',
    'took_seconds_bucket{path="/a",le="0.1"} 1',
    'took_seconds_bucket{path="/a",le="1"} 2',
    'took_seconds_bucket{path="/a",le="+Inf"} 3',
    'took_seconds_sum{path="/a"} 5.55',
    'took_seconds_count{path="/a"} 3',
    '',
  ]);
});

test('series are bounded whatever the labels', () => {
  const metrics = createMetrics();
  const counter = metrics.counter('c_total', 'c', ['label']);
  for (let i = 0; i < 5000; i++) counter.add([`${i}`]);
  assert.equal(metrics.text().split('\n').length, 1024 + 3);
});
