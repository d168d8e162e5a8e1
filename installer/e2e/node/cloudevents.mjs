// Sends the events given on standard input (JSON: {url, mode, events}) with the CloudEvents SDK for Node, and
// prints how often the agent would not take one.
import { readFileSync } from 'node:fs'
import { CloudEvent, emitterFor, httpTransport, Mode } from 'cloudevents'

const { url, mode, events } = JSON.parse(readFileSync(0, 'utf8'))
const emit = emitterFor(httpTransport(url), { mode: mode === 'binary' ? Mode.BINARY : Mode.STRUCTURED })
let refused = 0
for (const event of events) {
  const answer = await emit(new CloudEvent(event))
  if (answer.body) refused++
}
console.log(refused)
