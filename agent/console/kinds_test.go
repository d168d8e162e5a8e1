package console

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/fieldpost/fieldpost/agent/console/picture"
	"github.com/fieldpost/fieldpost/agent/control"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// newKindsSite is a site whose catalog has every kind, with figures in every form that the code books know.
func newKindsSite() *fakeSite {
	f := newFakeSiteOf("product")
	f.kinds = true
	f.consent.Catalog = "workflows 2"
	f.accepted = 2
	return f
}

type figureJSON = map[string]any

// formAt is the i-th form of a figure around v: all seven come by, with an open top now and then.
func (f *fakeSite) formAt(field string, dims map[string]string, v float64, i int) figureJSON {
	v = max(math.Round(v), 0)
	lo := math.Floor(v/5) * 5
	out := figureJSON{"field": field, "dims": dims}
	switch i % 9 {
	case 3:
		out["form"], out["lo"], out["hi"] = "share", math.Floor(v/20)*20, math.Floor(v/20)*20+19
	case 4:
		out["form"], out["lo"], out["hi"] = "implied", max(v-3, 0), v+4
	case 5:
		out["form"], out["why"] = "suppressed", f.text("too few people: no answer could hide a single one")
	case 6:
		out["form"], out["lo"] = "band", lo
	case 7:
		out["form"], out["lo"], out["hi"] = "noised", v-1, v-1
	case 8:
		out["form"], out["lo"], out["hi"] = "exact", v, v
	default:
		out["form"], out["lo"], out["hi"] = "band", lo, lo+4
	}
	return out
}

// kindLines are the lines of a measure about people.
func (f *fakeSite) kindLines(q control.Query, ms *catalog.Measure, g report.Grain) []json.RawMessage {
	if ms.Kind == catalog.FirstTime {
		return []json.RawMessage{f.line(q, "2026-03-03T08:12:00Z", map[string]any{"value": "3d"}, true, nil)}
	}
	from := f.now.AddDate(-1, 0, 0)
	if t, err := time.Parse(time.DateOnly, q.From); err == nil && t.After(from) {
		from = t
	}
	var out []json.RawMessage
	n := 0
	for s := report.WindowStart(g, from, time.UTC); s <= report.WindowStart(g, f.now, time.UTC); s = picture.Step(g, s) {
		n++
		closed := picture.Step(g, s) <= report.WindowStart(g, f.now, time.UTC)
		start := report.StartString(g, s)
		tells := g != report.Rolling28 || n%28 == 20
		add := func(dims map[string]string, fs []figureJSON) {
			if !closed || !tells {
				for _, x := range fs {
					delete(x, "lo")
					delete(x, "hi")
					x["form"], x["why"] = "suppressed", f.text("the window has not closed yet")
				}
			}
			b, _ := json.Marshal(map[string]any{"measure": q.Measure, "grain": q.Grain, "start": start, "dims": dims, "value": nil, "form": "figures", "figures": fs, "closed": closed}) // maps of plain values
			out = append(out, b)
		}
		single := func(dims map[string]string, v float64, i int) {
			l := f.formAt("", dims, v, i)
			delete(l, "field")
			l["measure"], l["grain"], l["start"], l["value"], l["closed"] = q.Measure, q.Grain, start, nil, closed
			if l["form"] == "exact" {
				l["value"] = l["lo"]
				delete(l, "form")
				delete(l, "lo")
				delete(l, "hi")
			}
			b, _ := json.Marshal(l) // as above
			out = append(out, b)
		}
		switch {
		case ms.Kind == catalog.Transitions && len(q.By) == 2:
			for i, a := range ms.Steps {
				for k, b := range ms.Steps {
					if (i+k)%5 != 4 {
						single(map[string]string{"from": a.ID, "to": b.ID}, wave(n, 40, 10)/float64(1+k+i), n+i+2*k)
					}
				}
			}
		case ms.Kind == catalog.Count || ms.Kind == catalog.ActiveUsers || ms.Kind == catalog.Transitions:
			if n%11 != 7 { // a window that nobody reported
				single(map[string]string{}, wave(n, 60, 20), n)
			}
		case len(q.By) > 0:
			for i, v := range []string{"admin", "member", "(other)"} {
				add(map[string]string{q.By[0]: v}, f.figuresFor(ms, g, n+i, s))
			}
		case ms.Kind == catalog.Retention && !closed:
			add(map[string]string{}, []figureJSON{})
		default:
			add(map[string]string{}, f.figuresFor(ms, g, n, s))
		}
	}
	return out
}

// figuresFor are the figures of one window.
func (f *fakeSite) figuresFor(ms *catalog.Measure, g report.Grain, n int, s int64) []figureJSON {
	var out []figureJSON
	put := func(field, dim, value string, v float64, i int) {
		dims := map[string]string{}
		if dim != "" {
			dims[dim] = value
		}
		out = append(out, f.formAt(field, dims, v, i))
	}
	switch ms.Kind {
	case catalog.Lifecycle:
		for i, name := range []string{"new", "retained", "resurrected", "dormant"} {
			put(name, "", "", wave(n, []float64{9, 44, 6, 8}[i], 4), n*[]int{1, 3, 2, 5}[i])
		}
	case catalog.Stickiness:
		put("value", "", "", 62, 1)
		put("daily", "", "", 0, 5)
		for i, b := range catalog.DayBins() {
			put("value", "days", b, []float64{6, 9, 12, 14, 15, 6}[i], []int{1, 2, 4, 3, 6, n}[i])
		}
	case catalog.Retention:
		put("value", "", "", wave(n, 34, 10), n%2*8)
		weeks := int((f.now.Unix()/86400 - s) / 7)
		if g == report.Block12w {
			weeks -= 11
		}
		for w := 1; w <= min(weeks-1, 26); w++ {
			put("value", "offset", strconv.Itoa(w), 30/(1+float64(w)/5), n+w)
		}
	case catalog.Funnel:
		put("value", "", "", 40, 8)
		for i, st := range ms.Steps {
			put("value", "step", st.ID, 40/float64(1+i)-float64(i)*3, []int{8, 1, 3, n}[min(i, 3)])
		}
		for i, b := range catalog.TimeBands() {
			put("value", "band", b, []float64{3, 5, 7, 6, 2, 20}[i], []int{1, 4, 0, 5, 2, 6}[i])
		}
	case catalog.Adoption:
		put("value", "", "", 52, 1)
		for k, x := range ms.Features {
			for i, rung := range []string{"tried", "adopted", "habitual"} {
				put(rung, "feature", x.ID, 45/float64(1+k)/float64(1+i), n+k*2+i)
			}
		}
	case catalog.Seats:
		put("value", "", "", wave(n, 45, 10), 1)
		put("purchased", "", "", 60, 8)
		put("assigned", "", "", 57, 8)
		put("peak", "", "", 31, 2)
		put("at_cap", "", "", 3, 5)
	case catalog.Sufficient:
		for i, name := range []string{"count", "sum_x", "sum_xx", "sum_y", "sum_yy", "sum_xy"} {
			put(name, "", "", []float64{120, 640, 4100, 900, 8000, 5200}[i], 8)
		}
	case catalog.Shift:
		put("level", "", "", 42, 1)
		put("direction", "", "", 2, 8)
		put("size", "", "", 1, 8)
		put("confidence", "", "", 2, 8)
		put("value", "evidence", "burst", 1, 8)
		put("value", "evidence", "invited", 0, 5)
	case catalog.Environment:
		put("value", "", "", 2, 8)
		put("confidence", "", "", 1, 8)
		put("value", "evidence", "working_week", 1, 8)
	default:
		put("count", "", "", 0, 5)
	}
	return out
}
