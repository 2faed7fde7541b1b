import { checkOptions, is } from '../options/index.js';
import type { GatewayMetrics, MetricSources } from './metrics.js';

/**
 * Metrics in the text format of Prometheus, by `prom-client`, which is loaded when the first are made.
 * docs/gateway.md lists them; `test/gateway/metrics.test.ts` compares.
 */

/** Settings of {@link createPrometheusMetrics}. */
export interface PrometheusOptions {
  /**
   * Also those of the process that every program of Node has: processor, memory, descriptors, lag of the
   * event loop, garbage collection. False where somebody else counts them. @default true
   */
  readonly process?: boolean | undefined;
}

/** A small read takes milliseconds, a xorb over a slow line minutes. Seconds. */
const REQUEST_BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300];
/** From what lies in the cache of the system to a bucket far away. Seconds. */
const STORE_BUCKETS = [0.0005, 0.002, 0.01, 0.05, 0.2, 1, 5, 30];

/**
 * Counts for a collector of Prometheus. Hand it to `createGateway` or `startGateway`, and give it to the
 * collector by {@link createMetricsServer}, by `GET /metrics` of the gateway (admins), or by a route
 * of your own that sends what `read` gives.
 *
 * @example
 * const metrics = await createPrometheusMetrics();
 * const gateway = await startGateway({ data: './store', port: 0, metrics });
 * const { contentType, text } = await metrics.read();
 * await gateway.close();
 */
export async function createPrometheusMetrics(
  options: PrometheusOptions = {},
): Promise<GatewayMetrics & Required<Pick<GatewayMetrics, 'read' | 'watch'>>> {
  checkOptions('createPrometheusMetrics', options, { process: is.flag });
  const { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } = await import(
    'prom-client'
  );
  const registry = new Registry();
  const registers = [registry];
  if (options.process ?? true) collectDefaultMetrics({ register: registry });
  const counter = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
  ) => new Counter({ name, help, labelNames, registers });

  const requests = counter(
    'orbweaver_requests_total',
    'Requests whose response was sent, or that nobody takes any more.',
    ['method', 'route', 'status'],
  );
  const durations = new Histogram({
    name: 'orbweaver_request_duration_seconds',
    help: 'From the head of a request to the last byte of its response.',
    labelNames: ['method', 'route'],
    buckets: REQUEST_BUCKETS,
    registers,
  });
  const inFlight = new Gauge({
    name: 'orbweaver_requests_in_flight',
    help: 'Requests that are being handled, responses that are being sent included.',
    registers,
  });
  const received = counter(
    'orbweaver_received_bytes_total',
    'Bytes of request bodies that were read.',
    ['route'],
  );
  const sent = counter('orbweaver_sent_bytes_total', 'Bytes of response bodies that were sent.', [
    'route',
  ]);
  const stored = counter(
    'orbweaver_stored_objects_total',
    'Objects that were stored and were not there before, or took the place of a damaged one.',
    ['kind'],
  );
  const storeDurations = new Histogram({
    name: 'orbweaver_store_operation_duration_seconds',
    help: 'Operations of the store.',
    labelNames: ['operation'],
    buckets: STORE_BUCKETS,
    registers,
  });
  const storeErrors = counter('orbweaver_store_errors_total', 'Operations that failed.', [
    'operation',
    'code',
  ]);
  const questions = counter(
    'orbweaver_dedup_questions_total',
    'Questions whether chunks are stored.',
  );
  const hits = counter('orbweaver_dedup_hits_total', 'Questions that had a response with chunks.');
  const asked = counter('orbweaver_dedup_chunks_total', 'Chunks that were asked about.');

  return {
    requestBegan: () => inFlight.inc(),
    requestEnded({ method, route, status, durationMs, receivedBytes, sentBytes }) {
      inFlight.dec();
      requests.inc({ method, route, status });
      durations.observe({ method, route }, durationMs / 1000);
      if (receivedBytes > 0) received.inc({ route }, receivedBytes);
      if (sentBytes > 0) sent.inc({ route }, sentBytes);
    },
    storeOperation({ operation, durationMs, failed, stored: kind }) {
      storeDurations.observe({ operation }, durationMs / 1000);
      if (failed !== null) storeErrors.inc({ operation, code: failed });
      if (kind !== undefined) stored.inc({ kind });
    },
    dedupAsked({ chunkCount, found }) {
      questions.inc();
      asked.inc(chunkCount);
      if (found) hits.inc();
    },
    watch({ memory, connections }: MetricSources) {
      const gauge = (name: string, help: string, look: () => number | Promise<number>): void => {
        new Gauge({
          name,
          help,
          registers,
          async collect() {
            this.set(await look());
          },
        });
      };
      if (memory !== undefined) {
        const of = 'of bodies, dedup responses and caches.';
        gauge('orbweaver_memory_used_bytes', `Memory ${of}`, () => memory().usedBytes);
        gauge(
          'orbweaver_memory_peak_bytes',
          'The most that bodies and dedup responses ever held.',
          () => memory().peakBytes,
        );
        gauge('orbweaver_memory_limit_bytes', `Budget ${of}`, () => memory().maxBytes);
      }
      if (connections !== undefined) {
        gauge('orbweaver_open_connections', 'Connections of clients, idle ones too.', connections);
      }
    },
    read: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}
