// Shows the readings given on standard input (JSON: {port, openMetrics, rounds: [[{kind, name, value,
// labels}]], bounds}) as prom-client does, a round more on every page, and ends when each has been
// read. What a round gives no value is only named, so that it stands on the page with zero.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { Counter, Gauge, Histogram, Registry, Summary } from 'prom-client'

const { port, openMetrics, rounds, bounds } = JSON.parse(readFileSync(0, 'utf8'))
const registry = new Registry()
if (openMetrics) registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
const kinds = { counter: Counter, gauge: Gauge, histogram: Histogram, summary: Summary }
const made = new Map()
function metric({ kind, name, labels }) {
  if (!made.has(name)) {
    const given = { name, help: `What ${name} says, "quoted" \\ and more`, labelNames: Object.keys(labels ?? {}), registers: [registry] }
    if (kind === 'histogram') given.buckets = bounds
    made.set(name, new kinds[kind](given))
  }
  return made.get(name)
}
function play(reading) {
  const m = metric(reading)
  const { kind, value, labels = {} } = reading
  if (kind === 'counter') m.inc(labels, value ?? 0)
  else if (kind === 'gauge') m.set(labels, value ?? 0)
  else if (value !== undefined) m.observe(labels, value)
  else if (kind === 'histogram') m.zero(labels)
}
const server = createServer(async (request, response) => {
  const round = rounds.shift()
  round?.forEach(play)
  const page = await registry.metrics()
  response.setHeader('Content-Type', registry.contentType)
  response.setHeader('Connection', 'close')
  response.end(page, () => {
    if (rounds.length === 0) server.close()
  })
})
server.listen(port, '127.0.0.1')
