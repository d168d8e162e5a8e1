// Sends the calls given on standard input (JSON: {host, writeKey, calls: [{method, message}], compress}) with
// PostHog's own client for Node, and asks it for a flag. Nothing but the host differs from a product that
// uses PostHog.
import { readFileSync } from 'node:fs'
import { PostHog } from 'posthog-node'

const { host, writeKey, calls, compress } = JSON.parse(readFileSync(0, 'utf8'))
const client = new PostHog(writeKey, { host, flushAt: 7, flushInterval: 600_000, fetchRetryCount: 0, disableCompression: !compress })
const errors = []
client.on('error', (e) => errors.push(String(e)))
const send = {
  identify: (m) => client.identify({ distinctId: m.userId, properties: { $set: m.traits } }),
  group: (m) => client.groupIdentify({ groupType: 'organization', groupKey: m.groupId, properties: m.traits, distinctId: m.userId }),
  alias: (m) => client.alias({ distinctId: m.userId, alias: m.previousId }),
  track: (m) => capture(m, m.event, m.properties),
  page: (m) => capture(m, '$pageview', { title: m.name, $current_url: 'https://example.com/' + m.name, ...m.properties }),
  screen: (m) => capture(m, '$screen', { $screen_name: m.name, ...m.properties }),
}
// Without a distinctId the client makes one up, and says that it is nobody's.
function capture(m, event, properties) {
  client.capture({ distinctId: m.userId, event, properties, timestamp: new Date(m.timestamp), uuid: m.messageId })
}
for (const { method, message } of calls) send[method](message)
const flags = await client.getAllFlags('ann')
if (Object.keys(flags).length > 0) errors.push('a flag: ' + JSON.stringify(flags))
if ((await client.isFeatureEnabled('new-editor', 'ann', { sendFeatureFlagEvents: false })) === true) errors.push('a flag is on')
await client.shutdown()
if (errors.length > 0) {
  console.error(JSON.stringify(errors))
  process.exit(1)
}
