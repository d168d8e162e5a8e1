// Makes the calls given on standard input (JSON: {port, calls: [{method, args}], options}) with
// hot-shots, a StatsD client for Datadog's dialect, and ends when everything was sent.
import { readFileSync } from 'node:fs'
import StatsD from 'hot-shots'

const { port, calls, options } = JSON.parse(readFileSync(0, 'utf8'))
Math.random = () => 0 // a sampled call is always among those sent: the test must know how many there are
const client = new StatsD({
  host: '127.0.0.1',
  port,
  ...options,
  errorHandler: (e) => {
    console.error(e)
    process.exitCode = 1
  },
})
for (const { method, args } of calls) client[method](...args)
client.close((e) => {
  if (e) {
    console.error(e)
    process.exitCode = 1
  }
})
