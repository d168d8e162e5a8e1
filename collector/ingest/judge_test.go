package ingest

import (
	"math"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// S30 for noise: a figure with noise passes where noise was agreed to and nowhere else, and where noise was agreed to
// nothing else about people passes.
func TestS30_noiseWhereItWasAgreedTo(t *testing.T) {
	steps := []catalog.Step{{ID: "a"}, {ID: "b"}}
	c := &catalog.Catalog{Hash: [32]byte{7}, Traits: []catalog.Property{{Name: "role", Values: []string{"x"}}}, Measures: []catalog.Measure{
		{ID: "people", Kind: catalog.ActiveUsers, Subject: catalog.Person, By: [][]string{{"role"}}, Category: "usage", Pool: true},
		{ID: "events", Kind: catalog.Count, Subject: catalog.Person, Category: "usage"},
		{ID: "way", Kind: catalog.Funnel, Subject: catalog.Person, Steps: steps, Window: time.Hour, Entry: "first", Category: "usage"},
		{ID: "seats", Kind: catalog.Seats, Subject: catalog.Person, Category: "usage"},
		{ID: "load", Kind: catalog.Count, Subject: catalog.Traffic, Category: "usage"},
		{ID: "disk", Kind: catalog.Gauge, Subject: catalog.Machine, Category: "usage"},
	}}
	block := report.CivilStart(report.Block12w, 20_000)
	cell := func(m int, f report.Field, g report.Grain, start int64, form report.Form, b int) *report.Cell {
		x := &report.Cell{Series: report.Series{Measure: uint16(m), Field: f, Grain: g, Breakdown: uint8(b)}, Start: start, Form: form}
		if form == report.Band {
			x.Lo, x.Hi = 10, math.Inf(1)
		}
		return x
	}
	value := report.Value
	people12 := cell(0, value, report.Block12w, block, report.Noised, 0)
	week := cell(0, value, report.Week, block, report.Exact, 0)
	for name, x := range map[string]struct {
		usage, pool exchange.Level
		cell        *report.Cell
		ok          bool
	}{
		"a noised block at strict":               {exchange.Strict, exchange.Off, cell(0, value, report.Block4w, block, report.Noised, 0), true},
		"a noised role at strict":                {exchange.Strict, exchange.Off, cell(0, value, report.Block4w, block, report.Noised, 1), true},
		"a noised block at aggregate":            {exchange.Aggregate, exchange.Off, cell(0, value, report.Block4w, block, report.Noised, 0), false},
		"a noised block at totals":               {exchange.Totals, exchange.Off, cell(0, value, report.Block4w, block, report.Noised, 0), false},
		"a noised block for the pool":            {exchange.Local, exchange.Strict, cell(0, value, report.Block4w, block, report.Noised, 0), false},
		"a noised week at strict":                {exchange.Strict, exchange.Off, cell(0, value, report.Week, block, report.Noised, 0), false},
		"an exact week at strict":                {exchange.Strict, exchange.Off, week, false},
		"a band at strict":                       {exchange.Strict, exchange.Off, cell(0, value, report.Block4w, block, report.Band, 0), false},
		"a withheld block at strict":             {exchange.Strict, exchange.Off, cell(0, value, report.Block4w, block, report.Suppressed, 0), true},
		"a noised count of events":               {exchange.Strict, exchange.Strict, cell(1, value, report.Block4w, block, report.Noised, 0), false},
		"a noised step":                          {exchange.Strict, exchange.Off, cell(2, value, report.Block4w, block, report.Noised, 1), true},
		"active seats of a block's last day":     {exchange.Strict, exchange.Off, cell(3, value, report.Rolling28, block+27, report.Noised, 0), true},
		"active seats of another day":            {exchange.Strict, exchange.Off, cell(3, value, report.Rolling28, block+26, report.Noised, 0), false},
		"seats bought at strict":                 {exchange.Strict, exchange.Off, cell(3, report.Purchased, report.Rolling28, block+27, report.Exact, 0), true},
		"days at the cap at strict":              {exchange.Strict, exchange.Off, cell(3, report.AtCap, report.Rolling28, block+27, report.Exact, 0), false},
		"traffic at strict is not noised":        {exchange.Strict, exchange.Off, cell(4, value, report.Hour, block*86400, report.Exact, 0), true},
		"traffic with noise":                     {exchange.Strict, exchange.Off, cell(4, value, report.Hour, block*86400, report.Noised, 0), false},
		"machines with noise":                    {exchange.Strict, exchange.Off, cell(5, report.Last, report.Hour, block*86400, report.Noised, 0), false},
		"the pool's block":                       {exchange.Local, exchange.Strict, people12, true},
		"the pool's block, withheld":             {exchange.Local, exchange.Strict, cell(0, value, report.Block12w, block, report.Suppressed, 0), true},
		"the pool's block in a band":             {exchange.Local, exchange.Strict, cell(0, value, report.Block12w, block, report.Band, 0), false},
		"the pool's block, not joined":           {exchange.Strict, exchange.Off, people12, false},
		"the pool's block beside audited ones":   {exchange.Aggregate, exchange.Strict, people12, true},
		"the pool's block of what is off":        {exchange.Off, exchange.Strict, people12, false},
		"a pool's block of another measure":      {exchange.Local, exchange.Strict, cell(2, value, report.Block12w, block, report.Noised, 0), false},
		"audited at local, though pooled":        {exchange.Local, exchange.Strict, cell(0, value, report.Block4w, block, report.Band, 0), false},
		"audited block at aggregate":             {exchange.Aggregate, exchange.Off, cell(0, value, report.Block4w, block, report.Share, 1), true},
		"a band of the site's week":              {exchange.Aggregate, exchange.Off, cell(0, value, report.Week, block, report.Band, 0), true},
		"a role's week at aggregate":             {exchange.Aggregate, exchange.Off, cell(0, value, report.Week, block, report.Band, 1), false},
		"events of a week at aggregate":          {exchange.Aggregate, exchange.Off, cell(1, value, report.Week, block, report.Band, 0), false},
		"events of a week at totals":             {exchange.Totals, exchange.Off, cell(1, value, report.Week, block, report.Exact, 0), true},
		"a day at totals":                        {exchange.Totals, exchange.Off, cell(0, value, report.Day, block, report.Exact, 0), false},
		"a month at totals":                      {exchange.Totals, exchange.Off, cell(0, value, report.Month, 19723, report.Exact, 0), false},
		"rolling seats in a band, another day":   {exchange.Aggregate, exchange.Off, cell(3, value, report.Rolling28, block+20, report.Band, 0), false},
		"rolling seats in a band, a block's end": {exchange.Aggregate, exchange.Off, cell(3, value, report.Rolling28, block+27, report.Band, 0), true},
	} {
		st := &exchange.Statement{Number: 1, Catalog: c.Hash, Categories: []exchange.Decision{{Category: "pool", Level: x.pool, From: 1}, {Category: "usage", Level: x.usage, From: 1}}}
		k := case_{cat: c, accepted: c, acceptedNow: c, named: st, newest: st, zone: time.UTC, now: time.Unix((block+400)*86400, 0)}
		r := k.cell(x.cell)
		if (r == nil) != x.ok || r != nil && r.code != store.CodeNotCovered {
			t.Errorf("%s: %+v, want passing %v", name, r, x.ok)
		}
		if x.ok { // what has narrowed since stops what was frozen before
			off := &exchange.Statement{Number: 2, Catalog: c.Hash}
			k.newest = off
			if k.cell(x.cell) == nil {
				t.Errorf("%s: passes after everything was switched off", name)
			}
		}
	}
}

func TestS30_aPooledBlockBeganWhenThePoolWasJoined(t *testing.T) {
	c := &catalog.Catalog{Hash: [32]byte{7}, Measures: []catalog.Measure{{ID: "people", Kind: catalog.ActiveUsers, Subject: catalog.Person, Category: "usage", Pool: true}}}
	block := report.CivilStart(report.Block12w, 20_000)
	cell := &report.Cell{Series: report.Series{Field: report.Value, Grain: report.Block12w}, Start: block, Form: report.Noised}
	for from, ok := range map[int64]bool{block * 86400: true, block*86400 + 1: false} {
		st := &exchange.Statement{Catalog: c.Hash, Categories: []exchange.Decision{{Category: "pool", Level: exchange.Strict, From: from}, {Category: "usage", Level: exchange.Local, From: 1}}}
		k := case_{cat: c, accepted: c, acceptedNow: c, named: st, newest: st, zone: time.UTC, now: time.Unix((block+400)*86400, 0)}
		if r := k.cell(cell); (r == nil) != ok {
			t.Errorf("joined %d s into the block: %+v", from-block*86400, r)
		}
	}
}
