package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/accounts"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/catalog"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

// startPage is the first-run wizard: make a token, hand it over, wait for the first report.
type startPage struct {
	First                              bool // nothing has joined yet
	Account, Installation, Environment string
	Environs                           []string
	Accounts                           []store.AccountRow
	Problem                            *access.Error
	NoCatalog                          bool

	Token string // shown once
	Wait  *waiting
}

// waiting is how far a token has come.
type waiting struct {
	Token     store.Token
	Now       time.Time
	Joined    *store.Agent
	CheckedIn time.Time
	Install   store.Installation
	Agreed    bool // the customer lets something leave
	Reported  bool
	Measure   *catalog.Measure
	FirstWeek int64 // the first week that can tell a weekly figure
	Arrives   time.Time
}

// Step counts what is done, of four: joined, checked in, agreed, reported.
func (w *waiting) Step() int {
	switch {
	case w.Reported:
		return 4
	case w.Agreed:
		return 3
	case !w.CheckedIn.IsZero():
		return 2
	case w.Joined != nil:
		return 1
	}
	return 0
}

func (h *Handler) start(q *request) error { return h.showStart(q, startPage{}, http.StatusOK) }

func (h *Handler) showStart(q *request, d startPage, status int) error {
	d.Environs = store.Environments()
	o, err := h.board.Overview(q.ctx)
	if err != nil {
		return err
	}
	d.First = o.Agents == 0
	d.NoCatalog = o.CatalogVersion == 0
	p, err := h.c.Accounts.AccountPage(q.ctx, store.AccountQuery{Limit: 1000})
	if err != nil {
		return err
	}
	d.Accounts = p.Rows
	q.render(status, "start", page{Title: "Connect an installation", Section: "fleet"}, &d)
	return nil
}

func (h *Handler) makeToken(q *request) error {
	d := startPage{Account: strings.TrimSpace(q.r.PostFormValue("account")), Installation: strings.TrimSpace(q.r.PostFormValue("installation")), Environment: q.r.PostFormValue("environment")}
	if d.Problem = checkStart(d); d.Problem != nil {
		return h.showStart(q, d, d.Problem.Status)
	}
	text, id, err := h.c.MakeToken(q.ctx, TokenRequest{Account: d.Account, Installation: d.Installation, Environment: d.Environment, By: q.id.User, Life: 24 * time.Hour})
	if errors.Is(err, store.ErrConflict) {
		d.Problem = &access.Error{Status: http.StatusConflict, Code: "environment_conflict", Message: "This installation exists under another environment.", Hint: "Choose that environment or another name."}
		return h.showStart(q, d, http.StatusConflict)
	} else if err != nil {
		if d.Problem = told(err); d.Problem != nil {
			return h.showStart(q, d, d.Problem.Status)
		}
		return err
	}
	d.Token = text
	if d.Wait, err = h.waiting(q, id); err != nil {
		return err
	}
	q.render(http.StatusOK, "token", page{Title: "Token for " + d.Installation + " of " + d.Account, Section: "fleet"}, &d)
	return nil
}

func checkStart(d startPage) *access.Error {
	bad := func(what, hint string) *access.Error {
		return &access.Error{Status: http.StatusBadRequest, Code: "field_invalid", Message: what, Hint: hint}
	}
	for _, f := range []struct{ name, v string }{{"account", d.Account}, {"installation", d.Installation}} {
		if f.v == "" || len(f.v) > 64 {
			return bad("The "+f.name+" needs a key of 1 to 64 characters.", "Use the key that your CRM or billing knows it by.")
		}
		if strings.Trim(f.v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@+") != "" || strings.HasPrefix(f.v, ".") {
			return bad("The key of the "+f.name+" has characters that do not fit.", "Use letters, digits and - _ . @ +, for example acme or main.")
		}
	}
	if !slices.Contains(store.Environments(), d.Environment) {
		return bad("The environment is missing.", "Choose production, pilot, trial or test.")
	}
	return nil
}

func (h *Handler) wait(q *request) error {
	id, err := exchange.ParseID(q.r.PathValue("token"))
	if err != nil {
		return store.ErrNotFound
	}
	w, err := h.waiting(q, id)
	if err != nil {
		return err
	}
	q.render(http.StatusOK, "wait", page{Title: "Waiting for " + w.Token.Installation, Section: "fleet", Refresh: 5}, w)
	return nil
}

func (h *Handler) waiting(q *request, id exchange.ID) (*waiting, error) {
	t, err := h.c.Tokens.Token(q.ctx, id)
	if err != nil {
		return nil, err
	}
	w := &waiting{Token: t, Now: h.c.Now()}
	if w.Install, err = h.c.Fleet.Installation(q.ctx, t.Account, t.Installation); err != nil {
		return nil, err
	}
	agents, err := h.c.Agents.AgentsOf(q.ctx, t.Account, t.Installation, 100)
	if err != nil {
		return nil, err
	}
	for i := range agents {
		if agents[i].Token == id {
			w.Joined, w.CheckedIn = &agents[i], agents[i].LastCheckIn
		}
	}
	cat, err := h.board.Catalog(q.ctx)
	if err != nil {
		return nil, err
	}
	w.Measure = accounts.Headline(cat)
	for _, l := range w.Install.Consent {
		w.Agreed = w.Agreed || l.Leaves()
	}
	w.Agreed, w.Reported = w.Agreed && w.Joined != nil, w.Joined != nil && !w.Install.FirstReport.IsZero()
	from := w.Now
	if statements, err := h.c.Statements.StatementsOf(q.ctx, t.Account, t.Installation); err != nil {
		return nil, err
	} else if len(statements) > 0 {
		if st, err := statements[0].Signed.Parse(); err == nil {
			if d := st.Decision(catalog.Usage); d.From > 0 && d.Level.Leaves() {
				from = time.Unix(d.From, 0)
			}
		}
	}
	zone, err := time.LoadLocation(w.Install.Zone)
	if err != nil {
		zone = time.UTC
	}
	w.FirstWeek, w.Arrives = accounts.FirstFigure(from, zone, accounts.Grace(cat, w.Measure))
	return w, nil
}
