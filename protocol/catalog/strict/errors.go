package strict

import (
	"fmt"
	"strings"
)

// Codes of the errors a catalog can have. They are append-only.
const (
	CodeTooLarge      = "catalog_too_large"       // the file or a list in it is over its limit
	CodeNotUTF8       = "catalog_not_utf8"        // the bytes are not UTF-8 text
	CodeSyntax        = "catalog_syntax"          // not YAML, or more than one document
	CodeYAMLFeature   = "catalog_yaml_feature"    // aliases, anchors, merges and tags are not read
	CodeWrongType     = "catalog_wrong_type"      // a list where a text should be, and so on
	CodeUnknownKey    = "catalog_unknown_key"     // a key this version does not know
	CodeDuplicateKey  = "catalog_duplicate_key"   // the same key twice in one mapping
	CodeMissingKey    = "catalog_missing_key"     // a required key is absent
	CodeKeyNotForKind = "catalog_key_not_allowed" // a known key that this kind of thing cannot have
	CodeBadID         = "catalog_bad_id"          // an id outside the alphabet or too long
	CodeDuplicateID   = "catalog_duplicate_id"    // two measures with one id
	CodeDuplicate     = "catalog_duplicate_match" // two declarations answer to one client name
	CodeBadText       = "catalog_bad_text"        // empty, too long, or with invisible characters
	CodeEmptyList     = "catalog_empty_list"      // a list without entries
	CodeRepeated      = "catalog_repeated_value"  // a list names the same entry twice
	CodeReserved      = "catalog_reserved_value"  // (other) and (none) cannot be listed
	CodeUnknownRef    = "catalog_unknown_ref"     // refers to something the file does not declare
	CodeUnknownValue  = "catalog_unknown_value"   // refers to a value its property does not list
	CodeUnknownKind   = "catalog_unknown_kind"    // a kind this version does not know
	CodeUnknownWord   = "catalog_unknown_word"    // not one of the words a key allows
	CodeBadNumber     = "catalog_bad_number"      // outside what the key allows, or bounds not rising
	CodeBadDuration   = "catalog_bad_duration"    // not a duration, or outside what the key allows
	CodeBadDate       = "catalog_bad_date"        // not a YYYY-MM-DD date
	CodeDiffering     = "catalog_differing"       // events of one measure declare one property differently
	CodeAmbiguous     = "catalog_ambiguous"       // a name is a property and a trait at once
	CodeBadBreakdown  = "catalog_bad_breakdown"   // a breakdown that cannot be made
	CodeBadSubject    = "catalog_bad_subject"     // the subject cannot be what is declared
	CodeBadGrain      = "catalog_bad_grain"       // leaves is not a grain of the subject
	CodeBadSignature  = "catalog_bad_signature"   // not signed by the key
	CodeBadKey        = "catalog_bad_key"         // a key or signature file that cannot be read
	CodeBadCell       = "catalog_bad_cell"        // a cell or figure that the catalog does not have
	CodeTooFew        = "catalog_too_few"         // a list with fewer entries than there can be
	CodeBadPool       = "catalog_bad_pool"        // a measure that cannot join the pool
)

// maxErrors is how many errors are kept; a reader mends those first.
const maxErrors = 50

// Error is one thing that is wrong, where, and what to do about it.
type Error struct {
	Code         string
	Line, Column int    // from 1; 0 where there is no place
	Path         string // events.signed_up.properties.plan.values[2]; a measure is named by its id
	Message      string
	Hint         string // what to try; may be empty
}

func (e Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Column)
	}
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Message + " [" + e.Code + "]")
	if e.Hint != "" {
		b.WriteString(". Try: " + e.Hint)
	}
	return b.String()
}

// Errors is everything that is wrong with a file, in the order of its lines.
type Errors struct {
	List []Error // at most 50
	More int     // how many were found beyond those
}

func (e *Errors) Error() string {
	var b strings.Builder
	for i, x := range e.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(x.Error())
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\nand %d more", e.More)
	}
	return b.String()
}

// Unwrap lets errors.As find a single Error.
func (e *Errors) Unwrap() []error {
	out := make([]error, len(e.List))
	for i := range e.List {
		out[i] = e.List[i]
	}
	return out
}

// Coded is an error with a code and no place in a file.
func Coded(code, format string, args ...any) error {
	return Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
