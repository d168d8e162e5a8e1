// Package diff says what changed between two catalogs for the customer who is asked, and what
// a measure takes, in plain words.
//
// It keeps no state on disk.
package diff

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/canon"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Kind says what a change asks of the customer.
type Kind string

const (
	Added    Kind = "added"    // a new measure
	Removed  Kind = "removed"  // a measure that is gone
	Widened  Kind = "widened"  // more may be told, or less was not proved: to be asked
	Narrowed Kind = "narrowed" // nothing is told that was not told before
	Reworded Kind = "reworded" // only question, owner or purpose
)

// Change is one measure that differs between two catalogs.
type Change struct {
	Kind    Kind
	Measure string // id
	Text    string // in plain words
}

// Between is what changed for the customer, in the order of the new catalog, removed measures
// last. A change counts as narrowed only where every figure of the new definition is one
// the old definition had too, told to no more places and kept no longer. That leaves:
// fewer breakdowns, an earlier end of retention or of expiry, fewer consumers, and coarser
// windows of figures that add up, more noise, and leaving the pool. A new filter or a shorter list is not narrower: it
// tells of a smaller group.
func Between(old, now *catalog.Catalog) []Change {
	var out []Change
	for i := range now.Measures {
		n := &now.Measures[i]
		o, _ := old.Measure(n.ID)
		switch {
		case o == nil:
			out = append(out, Change{Added, n.ID, Describe(now, n)})
		case o.DefHash == n.DefHash:
			if text := reworded(o, n); text != "" {
				out = append(out, Change{Reworded, n.ID, text})
			}
		default:
			kind := Widened
			if narrower(old, now, o, n) {
				kind = Narrowed
			}
			out = append(out, Change{kind, n.ID, canon.Differences(old.Definition(o), now.Definition(n))})
		}
	}
	for i := range old.Measures {
		o := &old.Measures[i]
		if n, _ := now.Measure(o.ID); n == nil {
			out = append(out, Change{Removed, o.ID, "is no longer measured: " + o.Question})
		}
	}
	return out
}

func reworded(o, n *catalog.Measure) string {
	var out []string
	for _, w := range [][3]string{{"question", o.Question, n.Question}, {"purpose", o.Purpose, n.Purpose}, {"owner", o.Owner, n.Owner}} {
		if w[1] != w[2] {
			out = append(out, fmt.Sprintf("%s is now %q, was %q", w[0], w[2], w[1]))
		}
	}
	return strings.Join(out, "; ")
}

// narrower takes over from the new measure what may become narrower, one by one. If the two
// are then the same, nothing else changed.
func narrower(oldCat, nowCat *catalog.Catalog, o, n *catalog.Measure) bool {
	p := *o
	for _, b := range n.By {
		if !slices.ContainsFunc(o.By, func(a []string) bool { return slices.Equal(a, b) }) {
			return false
		}
	}
	p.By = n.By
	for _, s := range n.ConsumedIn {
		if len(o.ConsumedIn) > 0 && !slices.Contains(o.ConsumedIn, s) {
			return false
		}
	}
	if len(n.ConsumedIn) > 0 || len(o.ConsumedIn) == 0 { // none named means anywhere
		p.ConsumedIn = n.ConsumedIn
	}
	if o.Retention == 0 || n.Retention != 0 && n.Retention <= o.Retention {
		p.Retention = n.Retention
	}
	if n.Expires != "" && (o.Expires == "" || n.Expires <= o.Expires) {
		p.Expires = n.Expires
	}
	if !n.Pool {
		p.Pool = false
	}
	if n.Epsilon <= o.Epsilon { // more noise
		p.Epsilon = n.Epsilon
	}
	if addsUp(n.Kind) && o.Subject == n.Subject && coarser(n.Leaves, o.Leaves) {
		p.Leaves = n.Leaves
	}
	return bytes.Equal(oldCat.Canonical(&p), nowCat.Canonical(n))
}

// addsUp reports whether a longer window's figures follow from those of the shorter ones in it.
func addsUp(k catalog.Kind) bool {
	switch k {
	case catalog.Count, catalog.Distribution, catalog.Counter, catalog.Histogram, catalog.Availability, catalog.SLO:
		return true
	}
	return false
}

// coarser reports whether windows of grain g are made of whole windows of grain of.
func coarser(g, of report.Grain) bool {
	switch g {
	case report.Hour:
		return of == report.FiveMinutes
	case report.Day: // zones are whole multiples of 5 minutes away from UTC, not of hours
		return of == report.FiveMinutes
	case report.Week, report.Month, report.Rolling28:
		return of == report.Day
	case report.Block4w:
		return of == report.Day || of == report.Week
	case report.Block12w:
		return of == report.Day || of == report.Week || of == report.Block4w
	}
	return false
}
