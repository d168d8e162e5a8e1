// Sends the readings given on standard input (JSON: {encoding, gzip, rounds: [[{kind, name, value,
// attributes}]], bounds, resource}) with OpenTelemetry's own SDK, one export a round. Where they go
// stands in OTEL_EXPORTER_OTLP_ENDPOINT, as in a product that uses OpenTelemetry.
import { readFileSync } from 'node:fs'
import { diag, DiagLogLevel } from '@opentelemetry/api'
import { OTLPMetricExporter as JSONExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPMetricExporter as ProtoExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'

const { encoding, gzip, rounds, bounds, resource } = JSON.parse(readFileSync(0, 'utf8'))
const say = (...args) => console.error(args.map((a) => (typeof a === 'string' ? a : JSON.stringify(a))).join(' '))
diag.setLogger({ error: say, warn: say, info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN)

const Exporter = encoding === 'json' ? JSONExporter : ProtoExporter
const provider = new MeterProvider({
  resource: resourceFromAttributes(resource),
  readers: [
    new PeriodicExportingMetricReader({
      exporter: new Exporter({ compression: gzip ? 'gzip' : 'none' }),
      exportIntervalMillis: 600_000,
    }),
  ],
})
const meter = provider.getMeter('workflows')
const instruments = new Map()
const make = {
  counter: (name) => meter.createCounter(name),
  gauge: (name) => meter.createGauge(name),
  histogram: (name) => meter.createHistogram(name, { unit: 's', advice: { explicitBucketBoundaries: bounds } }),
}
for (const [i, round] of rounds.entries()) {
  for (const { kind, name, value, attributes } of round) {
    if (!instruments.has(name)) instruments.set(name, make[kind](name))
    const instrument = instruments.get(name)
    if (kind === 'counter') instrument.add(value, attributes)
    else instrument.record(value, attributes)
  }
  if (i < rounds.length - 1) await provider.forceFlush()
}
await provider.shutdown() // collects and sends the last round
