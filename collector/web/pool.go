package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/collector/web/many"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/catalog/lint"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// pooled shows sums with their error bars, and tells the reasons of withholding apart.
func (h *Handler) pooled(q *request) error {
	query, v, env := store.PoolQuery{}, url.Values{}, q.get("env")
	if slices.Contains(store.Environments(), env) {
		query.Environments = []string{env}
		v.Set("environment", env)
	}
	list, err := h.pool.Figures(q.ctx, query)
	if err != nil {
		return err
	}
	cat, err := h.board.Catalog(q.ctx)
	if err != nil {
		return err
	}
	d := many.NewPool(list, cat, q.get("block"), func(start string) string { return q.with("block", start) })
	d.Environment, d.Environs = env, store.Environments()
	if d.Start != 0 {
		v.Set("from", report.StartString(report.Block12w, d.Start))
		v.Set("to", v.Get("from"))
	}
	d.CSV = "/api/v1/pool.csv?" + v.Encode()
	q.render(http.StatusOK, "pool", page{Title: "Pool", Section: "pool"}, d)
	return nil
}

// answersPage lists the catalog's questions with where their answers stand.
type answersPage struct {
	Catalog *catalog.Catalog
	Rows    []answerRow
	Asked   string
}

type answerRow struct {
	Q            lint.Question
	C            store.Coverage
	Said, Pooled bool
}

// answers lists each question with the measure that answers it.
func (h *Handler) answers(q *request) error {
	d := answersPage{Asked: q.get("q")}
	var err error
	if d.Catalog, err = h.board.Catalog(q.ctx); err != nil {
		return err
	}
	cover, err := h.c.Measurements.Coverage(q.ctx)
	if err != nil {
		return err
	}
	if d.Catalog != nil {
		used := map[int]bool{}
		for i, x := range lint.Questions(d.Catalog) {
			hay := strings.ToLower(x.Question + " " + x.Measure + " " + x.Purpose + " " + x.Answer + " " + string(x.Kind) + " " + x.Owner)
			if !strings.Contains(hay, strings.ToLower(strings.TrimSpace(d.Asked))) {
				continue
			}
			r := answerRow{Q: x, Pooled: d.Catalog.Measures[i].Pool}
			r.C, r.Said = coverageOf(cover, &d.Catalog.Measures[i], used)
			d.Rows = append(d.Rows, r)
		}
	}
	q.render(http.StatusOK, "answers", page{Title: "Answers", Section: "answers"}, &d)
	return nil
}
