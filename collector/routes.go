package collector

import (
	"github.com/fieldpost/fieldpost/collector/enroll"
	"github.com/fieldpost/fieldpost/collector/store/sqlite"
)

// SchemaVersion is the store's schema that this program writes.
func SchemaVersion() int { return sqlite.Version() }

// ValidKey reports whether s can name an account or an installation.
func ValidKey(s string) bool { return enroll.ValidKey(s) }

// Pages are the API and the pages, for Config.Routes.
func Pages(*Collector) ([]Route, error) { return nil, nil }
