package intake

// Codes of whole requests that are refused. Append-only. Single events in a readable request
// carry record.Reason's names instead.
const (
	CodeNotFound         = "not_found"
	CodeMethod           = "method_not_allowed"
	CodeHeaders          = "headers_too_large"       // over 16 KiB
	CodeUnreadable       = "unreadable"              // not the JSON or protobuf it should be
	CodeTooLarge         = "too_large"               // body over the door's limit, also once inflated
	CodeTooDeep          = "too_deep"                // nested beyond reason
	CodeContentType      = "unknown_content_type"    // neither JSON nor what the door takes
	CodeContentEncoding  = "unknown_encoding"        // neither gzip nor identity
	CodeBadEncoding      = "bad_encoding"            // says gzip but is not
	CodeWriteKey         = "wrong_write_key"         // missing or not on the list
	CodeSlowBody         = "body_too_slow"           // the body did not arrive in time
	CodeBusy             = "busy"                    // as many bytes in flight as allowed
	CodeJournalFull      = "journal_full"            // no room left for what must be kept
	CodeJournalUnhealthy = "journal_unhealthy"       // the disk does not take writes
	CodeStopping         = "stopping"                // the agent is shutting down
	CodeNotSupported     = "metric_kind_unsupported" // in OTLP's partial success: summaries
)
