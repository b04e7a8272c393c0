import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { PoolUse } from './db/index.ts';
import type { EventType, NewEvent } from './events/index.ts';

/**
 * What this process counts for Prometheus. Labels are of fixed sets: an operation's id and never a URL, a carrier
 * and never a business, or the series would grow with the tenants.
 */
export interface Metrics {
  /** @param operation null for what is no operation of the contract */
  requestAnswered(operation: string | null, status: number, seconds: number): void;
  carrierCalled(call: CarrierCall): void;
  /** Counts the messages that came into a status. */
  eventsWritten(events: readonly NewEvent[]): void;
  /** A carrier posted a webhook, and this became of it. */
  webhookReceived(source: string, state: string): void;
  /** All of it as it is now, with the process itself: its memory, its event loop. */
  snapshot(): Promise<MetricFamily[]>;
}

export interface CarrierCall {
  provider: string;
  /** `send` hands a message over; `find` asks after one whose outcome is not known. */
  act: 'send' | 'find';
  outcome: string;
  seconds: number;
}

/** One metric with its values, as prom-client writes it into JSON. */
export interface MetricFamily {
  name: string;
  help: string;
  /** `counter`, `gauge` or `histogram`: prom-client's types say it is a number, and its JSON has it as a word. */
  type: unknown;
  values: { labels: Record<string, string | number>; value: number; metricName?: string }[];
}

/** What a text of metrics is for Prometheus. */
export const metricsType = Registry.PROMETHEUS_CONTENT_TYPE;

const secondsOfRequests = [0.005, 0.025, 0.1, 0.25, 1, 2.5, 10];
/** A carrier has ten seconds; a mail with files longer. */
const secondsOfCarriers = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** A business may record messages of any channel it names; those are told together. */
const channels = new Set(['sms', 'whatsapp', 'email', 'voice', 'note', 'webchat']);

/** The events that say which status a message came into; others are about one that has it already. */
const statusEvents = new Set<string>([
  'message.received',
  'message.recorded',
  'message.scheduled',
  'message.queued',
  'message.suppressed',
  'message.sent',
  'message.delivered',
  'message.read',
  'message.undelivered',
  'message.failed',
  'message.canceled',
] satisfies EventType[]);

/** @param pools the use of the database's connections at this moment */
export function createMetrics(pools: () => PoolUse[]): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Histogram({
    name: 'omega_http_request_duration_seconds',
    help: 'Requests answered, by operation and class of status.',
    labelNames: ['operation', 'status'],
    buckets: secondsOfRequests,
    registers,
  });
  const calls = new Histogram({
    name: 'omega_carrier_call_duration_seconds',
    help: 'Calls of carriers, by provider, act (send, find) and outcome.',
    labelNames: ['provider', 'act', 'outcome'],
    buckets: secondsOfCarriers,
    registers,
  });
  const messages = new Counter({
    name: 'omega_messages_total',
    help: 'Messages that came into a status, by channel.',
    labelNames: ['channel', 'status'],
    registers,
  });
  const webhooks = new Counter({
    name: 'omega_webhooks_received_total',
    help: 'Webhooks that carriers posted, by source and what became of them.',
    labelNames: ['source', 'state'],
    registers,
  });
  new Gauge({
    name: 'omega_database_connections',
    help: 'Connections to Postgres by pool: busy, idle, the most there may be, and requests that wait for one.',
    labelNames: ['pool', 'state'],
    registers,
    collect() {
      for (const { pool, total, idle, waiting, most } of pools()) {
        this.set({ pool, state: 'busy' }, total - idle);
        this.set({ pool, state: 'idle' }, idle);
        this.set({ pool, state: 'most' }, most);
        this.set({ pool, state: 'waiting' }, waiting);
      }
    },
  });
  return {
    requestAnswered: (operation, status, seconds) =>
      requests.observe({ operation: operation ?? 'none', status: `${Math.floor(status / 100)}xx` }, seconds),
    carrierCalled: ({ seconds, ...labels }) => calls.observe(labels, seconds),
    eventsWritten(events) {
      for (const { type, data } of events) {
        if (!statusEvents.has(type)) continue;
        const channel = String(data.channel);
        messages.inc({
          channel: channels.has(channel) ? channel : 'other',
          status: type.slice('message.'.length),
        });
      }
    },
    webhookReceived: (source, state) => webhooks.inc({ source, state }),
    async snapshot() {
      const families = [
        ...(await registry.getMetricsAsJSON()),
        ...(await ofThisProcess().getMetricsAsJSON()),
      ];
      return families as unknown as MetricFamily[];
    },
  };
}

let processRegistry: Registry | undefined;

/** There is one process, however many Omegas a test has in it: its observers are made once, when they are first asked. */
function ofThisProcess(): Registry {
  if (!processRegistry) {
    processRegistry = new Registry();
    collectDefaultMetrics({ register: processRegistry });
  }
  return processRegistry;
}

/** A gauge that is looked up when it is asked for, as a family like the counted ones. */
export function gaugeOf(
  name: string,
  help: string,
  values: { labels?: Record<string, string>; value: number }[],
): MetricFamily {
  return {
    name,
    help,
    type: 'gauge',
    values: values.map(({ labels = {}, value }) => ({ labels, value })),
  };
}

/** The same families with one label more in every value. */
export function labelled(families: readonly MetricFamily[], label: Record<string, string>): MetricFamily[] {
  return families.map((family) => ({
    ...family,
    values: family.values.map((value) => ({ ...value, labels: { ...value.labels, ...label } })),
  }));
}

/** The text that Prometheus reads. Families of one name, from several processes, become one. */
export async function textOf(families: readonly MetricFamily[]): Promise<string> {
  // By their labels no two values are the same: what prom-client would add up, average or leave out is each for itself.
  const own = families.map((family) => ({ ...family, aggregator: 'sum' }));
  return AggregatorRegistry.aggregate([own]).metrics();
}
