package protocoltest

// ConformCatalog is the catalog the conformance suite speaks about. Measure 0 is the one its
// cells are of.
const ConformCatalog = `catalog: conformance
version: 1
vendor: Fieldpost
metrics:
  requests: {match: "conformance.requests", type: counter, unit: "1"}
  errors: {match: "conformance.errors", type: counter, unit: "1"}
measures:
  - id: requests
    kind: counter
    subject: machine
    metric: requests
    category: sla
    question: "How many requests were answered?"
    purpose: "Proving that figures arrive once"
    owner: protocol
    retention: forever
  - id: errors
    kind: counter
    subject: machine
    metric: errors
    category: diagnostics
    question: "How many failed?"
    purpose: "A measure that nobody consented to"
    owner: protocol
    retention: forever
`
