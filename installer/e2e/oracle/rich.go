package oracle

import "time"

// Rich is a vocabulary with what the forge's lacks: pages and screens, graces of all lengths, orders that
// can be followed, numbers with decimals, traits that are numbers, and seats.
func Rich() Vocabulary {
	order, amount := Property{Bounds: bounds(0, 1e6)}, Property{Bounds: bounds(-50, 1e5)}
	return Vocabulary{
		Events: map[string]Event{
			"opened": {Type: "track", Match: "Order Opened", Properties: map[string]Property{
				"order": order, "amount": amount,
				"channel": {Values: []string{"web", "desk"}, Map: map[string]string{"counter": "desk"}},
				"variant": {Values: []string{"a", "b"}},
			}},
			"checked": {Type: "track", Match: "Order Checked", Properties: map[string]Property{"order": order}},
			"sent": {Type: "track", Match: "Order Sent", Grace: 7 * day, Properties: map[string]Property{
				"order": order, "amount": amount,
				"minutes": {Match: "took.minutes", Bounds: bounds(0, 1e4)},
				"variant": {Values: []string{"a", "b"}},
			}},
			"report": {Type: "page", Match: "Report", Properties: map[string]Property{"report": {Values: []string{"stock", "sales"}}}},
			"home":   {Type: "screen", Match: "Home", Grace: time.Hour},
		},
		Traits: map[string]Property{
			"role":  {Values: []string{"clerk", "manager", "robot"}, Map: map[string]string{"boss": "manager"}, NotPeople: []string{"robot"}},
			"site":  {Values: []string{"north", "south"}},
			"level": {Bounds: bounds(1, 9)},
		},
		GroupTraits: map[string]Property{
			"seats":       {Bounds: bounds(0, 1e5)},
			"seats_given": {Match: "assignedSeats", Bounds: bounds(0, 1e5)},
		},
	}
}

// RichMeasures are those of the rich catalog.
func RichMeasures() []Measure {
	orders := []string{"opened", "checked", "sent"}
	all := []string{"opened", "checked", "sent", "report", "home"}
	opened, checked, sent := Step{ID: "opened", Event: "opened"}, Step{ID: "checked", Event: "checked"}, Step{ID: "sent", Event: "sent"}
	return []Measure{
		{ID: "people", Kind: "active_users", Events: all, By: [][]string{{"role"}, {"role", "site"}}},
		{ID: "north", Kind: "active_users", Events: orders, WhereUser: append(of("site", "north"), atMost("level", 6)...)},
		{ID: "events", Kind: "count", Events: all, By: [][]string{{"role"}, {"channel", "role"}}},
		{ID: "cheap", Kind: "count", Events: []string{"opened", "sent"}, Where: atMost("amount", 99.5), By: [][]string{{"variant"}}},
		{ID: "amounts", Kind: "distribution", Events: []string{"opened", "sent"}, Property: "amount", By: [][]string{{"variant"}, {"role"}}},
		{ID: "flow", Kind: "lifecycle", Events: orders, By: [][]string{{"site"}}},
		{ID: "flow_web", Kind: "lifecycle", Events: orders[:1], Where: of("channel", "web"), WhereUser: atLeast("level", 2)},
		{ID: "habit", Kind: "stickiness", Events: all},
		{ID: "habit_web", Kind: "stickiness", Events: orders[:1], Where: of("channel", "web"), WhereUser: of("role", "clerk", "manager")},
		{ID: "kept", Kind: "retention", Events: all},
		{ID: "kept_north", Kind: "retention", Events: orders, WhereUser: of("site", "north")},
		{ID: "sending", Kind: "funnel", Steps: []Step{{"opened", "opened", of("channel", "web", "desk")}, checked, {"sent", "sent", append(atMost("amount", 9e4), atLeast("minutes", 1)...)}},
			Within: 14 * day, Each: true, Correlate: "order", Split: "channel", Before: &Step{Event: "report", Where: of("report", "stock")}, WhereUser: atLeast("level", 2)},
		{ID: "followed", Kind: "funnel", Steps: []Step{opened, checked, sent}, Within: 30 * day, Correlate: "order", Split: "role"},
		{ID: "second_order", Kind: "funnel", Steps: []Step{{ID: "first", Event: "sent"}, {ID: "second", Event: "sent"}}, Within: 30 * day, Split: "site"},
		{ID: "visit", Kind: "funnel", Steps: []Step{{ID: "home", Event: "home"}, {ID: "report", Event: "report"}, opened}, Within: 90 * time.Minute, Each: true},
		{ID: "informed", Kind: "funnel", Steps: []Step{opened, sent}, Within: 7 * day, Before: &Step{Event: "report"}, Split: "variant"},
		{ID: "parts", Kind: "adoption", Events: all, WhereUser: append(of("role", "clerk", "manager"), atMost("level", 8)...), Uses: 3, Features: []Feature{
			{"large", []string{"opened", "sent"}, atLeast("amount", 500)}, {"orders", orders, nil}, {"stock", []string{"report"}, of("report", "stock")}}},
		{ID: "parts_all", Kind: "adoption", Events: orders, Features: []Feature{{"home", []string{"home"}, nil}, {"sending", orders[2:], nil}}},
		{ID: "first_sent", Kind: "first_time", Events: orders[2:]},
		{ID: "first_manager", Kind: "first_time", Events: orders, Where: atLeast("order", 3), WhereUser: of("role", "manager")},
		{ID: "next", Kind: "transitions", Steps: []Step{{"sales", "report", of("report", "sales")}, opened, {"web", "opened", of("channel", "web")}, sent, {ID: "home", Event: "home"}}},
		{ID: "next_north", Kind: "transitions", Steps: []Step{opened, {ID: "report", Event: "report"}, checked}, WhereUser: of("site", "north")},
		{ID: "desks", Kind: "seats", Events: all, Purchased: "seats", Assigned: "seats_given"},
		{ID: "desks_web", Kind: "seats", Events: orders, Purchased: "seats", Where: atLeast("order", 1), WhereUser: of("role", "clerk")},
		{ID: "test_of_b", Kind: "sufficient", Events: []string{"opened", "sent"}, Arm: "variant", X: "amount"},
		{ID: "test_by_site", Kind: "sufficient", Events: orders[2:], Arm: "site", X: "amount", Y: "minutes", WhereUser: atMost("level", 8)},
	}
}
