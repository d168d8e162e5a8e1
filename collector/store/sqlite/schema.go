package sqlite

import (
	_ "embed" // the schema is in files of its own: SQL reads better as SQL

	"github.com/fieldpost/fieldpost/collector/store/sqlite/rollup"
)

//go:embed schema/0001.sql
var schema1 string

//go:embed schema/0002.sql
var schema2 string

// migration brings a database from one version to the next, in one transaction.
type migration struct {
	sql  string
	then func(rollup.Tx) error // what SQL cannot say; nil: nothing
}

// migrations bring a database from version i to i+1; they are never changed, only added to.
// Times are unix nanoseconds, 0 for never. Ids of 16 and 32 bytes are blobs.
func migrations() []migration {
	return []migration{{schema1, nil}, {schema2, rollup.Refill}}
}
