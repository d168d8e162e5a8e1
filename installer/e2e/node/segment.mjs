// Sends the calls given on standard input (JSON: {host, writeKey, calls: [{method, args}]}) with
// Segment's own client for Node. Nothing but the host differs from a product that uses Segment.
import { readFileSync } from 'node:fs'
import { Analytics } from '@segment/analytics-node'

const { host, writeKey, calls } = JSON.parse(readFileSync(0, 'utf8'))
const analytics = new Analytics({ host, writeKey, flushAt: 5, flushInterval: 200 })
const errors = []
analytics.on('error', (e) => errors.push(e))
for (const { method, message } of calls) {
  if (message.timestamp) message.timestamp = new Date(message.timestamp)
  analytics[method](message)
}
await analytics.closeAndFlush({ timeout: 20_000 })
if (errors.length > 0) {
  console.error(JSON.stringify(errors, (_, v) => (v instanceof Error ? String(v) : v)))
  process.exit(1)
}
