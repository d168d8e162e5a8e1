package oracle

import "time"

// Forge is the vocabulary of the forge, written down a second time: nobody reads its catalog.
func Forge() Vocabulary {
	return Vocabulary{
		Events: map[string]Event{
			"Change Authored": {
				Grace:   48 * time.Hour,
				Lists:   map[string][]string{"area": {"code", "docs", "testing", "pipeline", "configuration", "dependencies", "interface", "none"}},
				Numbers: map[string][2]float64{"files": {0, 1e6}},
			},
			"Change Accepted":   {Numbers: map[string][2]float64{"wait_hours": {0, 1e7}}},
			"Change Merged":     {},
			"Release Published": {},
		},
		Roles:     []string{"contributor", "maintainer", "automation"},
		RoleMap:   map[string]string{"admin": "maintainer"},
		NotPeople: []string{"automation"},
	}
}

// ForgeMeasures are three of the forge's, one of each kind that is known here.
func ForgeMeasures() []Measure {
	people := []string{"Change Authored", "Change Accepted", "Change Merged"}
	return []Measure{
		{ID: "people", Kind: "active_users", Events: people, By: "role"},
		{ID: "changes", Kind: "count", Events: people[:1], By: "area"},
		{ID: "flow", Kind: "lifecycle", Events: people},
	}
}
