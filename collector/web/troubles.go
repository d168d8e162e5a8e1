package web

import (
	"net/http"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/store"
)

type troublesPage struct {
	Quarantine []store.Quarantined
	Losses     []store.Loss
	Aside      []store.Aside
	Overview   store.Overview
	Account    string
	Raw        bool // may fetch the bytes
	Reasons    []reason
}

type reason struct {
	Code string
	N    int
}

func (h *Handler) troubles(q *request) error {
	d := troublesPage{Account: q.get("account"), Raw: q.id.Role.Includes(access.Support)}
	t := store.TroubleQuery{Account: d.Account, Limit: 200}
	var err error
	if d.Quarantine, err = h.c.Troubles.Quarantine(q.ctx, t); err != nil {
		return err
	}
	if d.Losses, err = h.c.Troubles.Losses(q.ctx, t); err != nil {
		return err
	}
	t.Limit = 50
	if d.Aside, err = h.c.Troubles.Aside(q.ctx, t); err != nil {
		return err
	}
	if d.Overview, err = h.board.Overview(q.ctx); err != nil {
		return err
	}
	at := map[string]int{}
	for _, x := range d.Quarantine {
		i, ok := at[x.Code]
		if !ok {
			i = len(d.Reasons)
			at[x.Code] = i
			d.Reasons = append(d.Reasons, reason{Code: x.Code})
		}
		d.Reasons[i].N++
	}
	q.render(http.StatusOK, "troubles", page{Title: "Quarantine and losses", Section: "quarantine"}, &d)
	return nil
}
