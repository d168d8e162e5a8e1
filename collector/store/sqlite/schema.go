package sqlite

import _ "embed" // the schema is a file of its own: SQL reads better as SQL

//go:embed schema/0001.sql
var schema1 string

// migrations bring a database from version i to i+1; they are never changed, only added to.
// Times are unix nanoseconds, 0 for never. Ids of 16 and 32 bytes are blobs.
func migrations() []string {
	return []string{schema1}
}
