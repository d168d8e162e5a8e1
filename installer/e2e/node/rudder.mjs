// Sends the calls given on standard input (JSON: {host, writeKey, calls: [{method, message}]}) with
// RudderStack's own client for Node. Nothing but the address of the data plane differs from a product
// that uses RudderStack.
import { readFileSync } from 'node:fs'
import Analytics from '@rudderstack/rudder-sdk-node'

const { host, writeKey, calls } = JSON.parse(readFileSync(0, 'utf8'))
const errors = []
const analytics = new Analytics(writeKey, { dataPlaneUrl: host, flushAt: 1000, flushInterval: 600_000, retryCount: 0, errorHandler: (e) => errors.push(String(e)) })
for (const { method, message } of calls) {
  const { timestamp, ...rest } = message
  if (timestamp) rest.originalTimestamp = new Date(timestamp) // as its documentation calls it
  analytics[method](rest)
}
await analytics.flush()
if (errors.length > 0) {
  console.error(JSON.stringify(errors))
  process.exit(1)
}
