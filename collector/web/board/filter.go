package board

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/collector/store"
)

// Fits reports whether an account passes a filter: numbers compare as numbers, the rest as text.
func Fits(a *store.AccountRow, f store.Filter) bool {
	if f.Attribute == "environment" {
		return slices.ContainsFunc(a.Environments, func(e string) bool { return compare(e, f) })
	}
	v, ok := a.Attributes[f.Attribute]
	switch f.Attribute {
	case "key":
		v, ok = a.Key, true
	case "name":
		v, ok = a.Name, true
	}
	return ok && compare(v, f)
}

func compare(v string, f store.Filter) bool {
	c := CompareValues(v, f.Value)
	switch f.Op {
	case store.NotEqual:
		return c != 0
	case store.AtLeast:
		return c >= 0
	case store.AtMost:
		return c <= 0
	case store.Contains:
		return strings.Contains(strings.ToLower(v), strings.ToLower(f.Value))
	}
	return c == 0
}

// CompareValues compares numbers as numbers and the rest as text in any case.
func CompareValues(a, b string) int {
	x, e1 := strconv.ParseFloat(a, 64)
	y, e2 := strconv.ParseFloat(b, 64)
	if e1 == nil && e2 == nil {
		return cmp.Compare(x, y)
	}
	return strings.Compare(strings.ToLower(a), strings.ToLower(b))
}
