package strict

// CommonKeys are those that every measure has or may have.
func CommonKeys() []string {
	return []string{"id", "kind", "subject", "leaves", "category", "question", "purpose", "owner", "consumed_in", "retention", "expires", "pool", "epsilon"}
}

// KindOnlyKeys are those that depend on the kind.
func KindOnlyKeys() []string {
	return []string{"events", "metric", "probe", "property", "from", "values", "valid", "good", "target", "window", "min_valid", "by", "where", "where_user",
		"steps", "entry", "correlate", "split", "before", "features", "eligible", "uses", "purchased", "assigned", "arm", "x", "y", "of", "cap"}
}

// Refused are keys that people expect and that there cannot be, each with what to do instead.
func Refused() [][2]string {
	const floor = "leave it out: the smallest groups that are told of are the same for every measure, and only the customer may raise them"
	return [][2]string{
		{"bands", "leave it out: the bands are the same for every measure, so that sites can be compared (1h 24h 3d 7d 30d)"},
		{"thresholds", floor},
		{"threshold", floor},
		{"min_count", floor},
		{"grains", "leaves: 4w; all grains are kept at the site"},
	}
}

// Example shows what a missing key looks like, where its name does not say it.
func Example(key string) string {
	switch key {
	case "window":
		return "window: 14d"
	case "steps":
		return "steps: [{id: first, event: EVENT}, {id: second, event: EVENT}]"
	case "features":
		return "features: {reports: {events: [EVENT]}}"
	case "of":
		return "of: the id of another measure"
	case "arm":
		return "arm: the property or trait that tells the arms of the experiment apart"
	}
	return ""
}
