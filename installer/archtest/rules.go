package archtest

// Rules is everything that is enforced. Paths are relative to the module.
type Rules struct {
	Floors    []Floor
	Trees     []Tree
	Above     []Above
	Libraries []Library
	Banned    []Banned
	Top       []string
	Limits    Limits
}

// Floor says which of our own top folders one top folder may reach.
type Floor struct {
	Name string
	May  []string
}

// Tree is a top folder whose rooms are stages: none reaches another, the root
// package wires them. A room is the first folder below the tree, with all that
// lies under it, except where Rooms names a deeper one.
type Tree struct {
	Name   string
	Shared []string // rooms that every stage may import; they reach no stage themselves
	Above  []string // rooms that stand above the stages, see Above
	Rooms  []string // deeper folders that are rooms of their own
}

// Above says what of its own tree a room above the stages may import directly.
// The root package, where it may be imported, reaches every stage: that is its work.
type Above struct {
	Room string
	May  []string
}

// Library has one direct importer outside tests, so that it can be replaced in
// one place.
type Library struct {
	Prefix string
	Only   []string
}

// Banned packages are never reached from a folder. Chains through the packages
// in Through do not count: their cost is known and was accepted.
type Banned struct {
	From    []string
	Never   []string
	Through []string
	Why     string
}

// Limits bounds size. File, Function and Main are lines as an editor counts
// them; Package is lines of code outside tests, without comments and blank
// lines, so that nobody saves on prose.
type Limits struct {
	File, Package, Function, Main int
}

// TheRules are this house's.
func TheRules() Rules {
	return Rules{
		Floors: []Floor{
			{Name: "protocol", May: []string{"protocol"}},
			{Name: "agent", May: []string{"agent", "protocol"}},
			{Name: "collector", May: []string{"collector", "protocol"}},
			{Name: "installer", May: []string{"installer", "agent", "collector", "protocol"}},
		},
		Trees: []Tree{
			{Name: "agent", Shared: []string{"record", "control", "settings"}, Above: []string{"cli"}},
			{
				Name:   "collector",
				Shared: []string{"store", "store/storetest"}, // the interface, its row types and the suite of its implementations
				Above:  []string{"api", "web", "cli"},
				Rooms:  []string{"store/sqlite", "store/postgres", "store/storetest"},
			},
		},
		Above: []Above{
			{Room: "agent/cli", May: []string{"agent", "agent/control", "agent/settings"}},
			{Room: "collector/cli", May: []string{"collector", "collector/store", "collector/accounts", "collector/sla", "collector/insight", "collector/support", "collector/access"}},
			{Room: "collector/api", May: []string{"collector/store", "collector/accounts", "collector/sla", "collector/insight", "collector/support", "collector/access"}},
			{Room: "collector/web", May: []string{"collector/store", "collector/accounts", "collector/sla", "collector/insight", "collector/support", "collector/access"}},
		},
		Libraries: []Library{
			{Prefix: "github.com/klauspost/compress", Only: []string{"protocol/batch"}},
			{Prefix: "github.com/hashicorp/go-retryablehttp", Only: []string{"agent/uplink"}},
			{Prefix: "github.com/nats-io", Only: []string{"collector/stream"}},
			{Prefix: "github.com/kardianos/service", Only: []string{"installer/svc"}},
			{Prefix: "modernc.org/sqlite", Only: []string{"collector/store/sqlite"}},
			{Prefix: "github.com/jackc/pgx", Only: []string{"collector/store/postgres"}},
		},
		Banned: []Banned{
			{
				From:    []string{"agent", "installer/cmd/fieldpost-agent"},
				Never:   []string{"html/template", "text/template", "net/rpc", "net/http/pprof", "google.golang.org/grpc"},
				Through: []string{"github.com/spf13/cobra"},
				Why:     "reflection keeps dead code alive: megabytes in the agent",
			},
			{
				From:  []string{"installer/cmd"},
				Never: []string{"testing"},
				Why:   "a shipped program carries no test code",
			},
		},
		Top: []string{
			"agent", "collector", "protocol", "installer", "go.mod", "go.sum", "README.md", "LICENSE",
		},
		Limits: Limits{File: 500, Package: 2000, Function: 80, Main: 60},
	}
}
