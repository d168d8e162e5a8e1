package oracle

import "time"

const day = 24 * time.Hour

func bounds(lo, hi float64) *[2]float64 { return &[2]float64{lo, hi} }

func of(name string, values ...string) []Clause { return []Clause{{Name: name, Values: values}} }

func atLeast(name string, n float64) []Clause { return []Clause{{Name: name, Min: &n}} }

func atMost(name string, n float64) []Clause { return []Clause{{Name: name, Max: &n}} }

func by(names ...string) []string { return names }

// Forge is the vocabulary of the forge, written down a second time: nobody reads its catalog.
func Forge() Vocabulary {
	return Vocabulary{
		Events: map[string]Event{
			"authored": {Type: "track", Match: "Change Authored", Grace: 48 * time.Hour, Properties: map[string]Property{
				"area":    {Values: []string{"code", "docs", "testing", "pipeline", "configuration", "dependencies", "interface", "none"}},
				"files":   {Bounds: bounds(0, 1e6)},
				"touched": {Match: "areas_touched", Bounds: bounds(0, 100)},
			}},
			"accepted": {Type: "track", Match: "Change Accepted", Properties: map[string]Property{"wait_hours": {Bounds: bounds(0, 1e7)}}},
			"merged":   {Type: "track", Match: "Change Merged"},
			"release":  {Type: "track", Match: "Release Published"},
		},
		Traits: map[string]Property{
			"role": {Values: []string{"contributor", "maintainer", "automation"}, Map: map[string]string{"admin": "maintainer"}, NotPeople: []string{"automation"}},
		},
	}
}

// ForgeMeasures are those of the forge's kinds catalog: every kind that is about people.
func ForgeMeasures() []Measure {
	work := []string{"authored", "accepted", "merged"}
	area := func(id string, values ...string) Step { return Step{id, "authored", of("area", values...)} }
	feature := func(id string) Feature { return Feature{id, []string{"authored"}, of("area", id)} }
	way := []Step{{ID: "authored", Event: "authored"}, {ID: "accepted", Event: "accepted"}, {ID: "merged", Event: "merged"}}
	return []Measure{
		{ID: "people", Kind: "active_users", Events: work, By: [][]string{{"role"}}},
		{ID: "testers", Kind: "active_users", Events: work, Where: of("area", "code", "testing"), WhereUser: of("role", "contributor")},
		{ID: "changes", Kind: "count", Events: work[:1], By: [][]string{{"area"}, {"area", "role"}}},
		{ID: "releases", Kind: "count", Events: []string{"release", "merged"}},
		{ID: "flow", Kind: "lifecycle", Events: work, By: [][]string{{"role"}}},
		{ID: "files", Kind: "distribution", Events: work[:1], Property: "files", By: [][]string{{"role"}}},
		{ID: "wait", Kind: "distribution", Events: work[1:2], Property: "wait_hours"},
		{ID: "habit", Kind: "stickiness", Events: work},
		{ID: "habit_docs", Kind: "stickiness", Events: work[:1], Where: of("area", "docs"), WhereUser: of("role", "contributor", "maintainer")},
		{ID: "kept", Kind: "retention", Events: work},
		{ID: "kept_code", Kind: "retention", Events: work[:1], Where: of("area", "code"), WhereUser: of("role", "maintainer")},
		{ID: "landed", Kind: "funnel", Steps: way, Within: 14 * day, Split: "role"},
		{ID: "tested", Kind: "funnel", Steps: []Step{{ID: "any", Event: "authored"}, area("tested", "testing"), {ID: "merged", Event: "merged"}}, Within: 7 * day, Each: true, Split: "area"},
		{ID: "refined", Kind: "funnel", Steps: []Step{{"large", "authored", atLeast("files", 4)}, {"small", "authored", atMost("files", 2)}}, Within: 30 * day, Each: true, Correlate: "area"},
		{ID: "settled", Kind: "funnel", Steps: []Step{{ID: "first", Event: "authored"}, {ID: "second", Event: "authored"}}, Within: 24 * time.Hour, Correlate: "area", Split: "area"},
		{ID: "reviewed", Kind: "funnel", Steps: []Step{way[0], way[2]}, Within: 30 * day, Before: &Step{Event: "accepted"}},
		{ID: "released", Kind: "funnel", Steps: []Step{way[0], way[1]}, Within: 3 * day, Before: &Step{Event: "release"}},
		{ID: "areas", Kind: "adoption", Events: work, Features: []Feature{feature("code"), feature("docs"), {"merging", work[1:], nil}, feature("testing")}},
		{ID: "areas_kept", Kind: "adoption", Events: work[:1], WhereUser: of("role", "maintainer"), Uses: 5, Features: []Feature{feature("code"), feature("testing")}},
		{ID: "first_merge", Kind: "first_time", Events: work[2:]},
		{ID: "first_docs", Kind: "first_time", Events: work[:1], Where: of("area", "docs"), WhereUser: of("role", "maintainer")},
		{ID: "moves", Kind: "transitions", Steps: []Step{area("code", "code"), {"wide", "authored", atLeast("touched", 2)}, area("docs", "docs"), way[1], way[2]}},
		{ID: "desks", Kind: "seats", Events: work},
		{ID: "effort", Kind: "sufficient", Events: work[:1], Arm: "role", X: "files", Y: "touched"},
		{ID: "effort_area", Kind: "sufficient", Events: work[:1], Arm: "area", X: "files", Where: atMost("files", 100)},
	}
}
