// Package intake is where events and samples come in: one HTTP server, the words it
// understands (Vocabulary), the clock that dates what arrives, and the limits. The
// protocols are doors, given to New by whoever wires the agent. What a door makes of each field stands in the
// comment of its package:
//
//	segment      POST /v1/batch identify group track page screen alias, and b i g t p s a      events
//	posthog      POST /batch /capture /e /track /i/v0/e; /flags /decide /array/… are answered  events
//	cloudevents  POST /cloudevents and /, in binary, structured and batched mode               events
//	otlp         POST /v1/metrics                                                              samples
//	otlp         POST /v1/logs                                                                 events
//	statsd       UDP, without this server                                                      samples
//	scrape       asks, without this server                                                     samples
//
// How they name things:
//
//	             match of an event            user                          messageId            limit of a body, an event
//	segment      event; name of a page        userId                        messageId            500 KiB, 32 KiB
//	posthog      event; title … of $pageview  distinct_id, if not made up   uuid                 1 MiB, 32 KiB
//	cloudevents  type                         doors.cloudevents.user        source and id        1 MiB, 32 KiB
//	otlp logs    event_name, event.name       doors.logs.user               log.record.uid       4 MiB, 32 KiB
//
// Doors for events judge with package event, so the same event has the same fate at each. A request that is refused
// as a whole carries one of the codes in codes.go: not_found 404, method_not_allowed 405, body_too_slow 408, too_large 413,
// unknown_content_type and unknown_encoding 415, headers_too_large 431, wrong_write_key 401 (segment, posthog), unreadable
// and bad_encoding 400, and 503 for busy, journal_full, journal_unhealthy and stopping. Single events in a request that was
// taken carry the name of the first reason of MEASURES that applies; each protocol says so in its own words.
//
// Invariants:
//   - A 200 is written only after the journal has said that the record is on disk.
//   - Only what the vocabulary declares reaches a record. Names, addresses, free text
//     and undeclared properties end in the door.
//   - Every event and sample of a request that could be read is on the record that
//     is journaled: itself, or as a count under the first reason of MEASURES that applies. So
//     the accounting is a fold of the journal. What could not be read as a request (400, 401,
//     413, 415) holds no events that could be counted; it is counted as requests, by code.
//   - Memory: the bodies being read or processed take at most Config.MaxInFlight bytes; what
//     comes beyond gets a 503 with Retry-After at once. Nothing waits in a queue
//     except for the disk.
//   - The product never suffers: without a catalog or without consent everything is counted
//     as off and answered with 200.
//
// There is no state on disk.
package intake
