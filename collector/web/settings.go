package web

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/exchange"
)

type settingsPage struct {
	Users    []store.User
	APITok   []store.Secret
	Audit    []store.AuditRow
	Tokens   []store.Token
	Catalogs []store.Catalog
	Roles    []access.Role
	Fresh    string // an API token, shown once
	Link     string // a login link, shown once
	LinkFor  string
	Problem  *access.Error
	Clock    time.Time
}

func (h *Handler) settings(q *request) error { return h.showSettings(q, settingsPage{}, http.StatusOK) }

func (h *Handler) showSettings(q *request, d settingsPage, status int) error {
	d.Roles, d.Clock = access.Roles(), h.c.Now()
	admin := q.id.Role.Includes(access.Admin)
	owner := q.id.User
	var err error
	if admin {
		owner = ""
		if d.Users, err = h.c.Access.UserList(q.ctx); err != nil {
			return err
		}
		if d.Audit, err = h.c.Troubles.Audit(q.ctx, store.TroubleQuery{Limit: 50}); err != nil {
			return err
		}
		if d.Tokens, err = h.c.Tokens.Tokens(q.ctx, 20); err != nil {
			return err
		}
	}
	if d.APITok, err = h.c.Access.Tokens(q.ctx, owner); err != nil {
		return err
	}
	if d.Catalogs, err = h.c.Catalogs.CatalogList(q.ctx); err != nil {
		return err
	}
	q.render(status, "settings", page{Title: "Settings", Section: "settings"}, &d)
	return nil
}

// settled shows the settings again, with what went wrong if it was the user's mistake.
func (h *Handler) settled(q *request, d settingsPage, err error) error {
	var e *access.Error
	if errors.As(err, &e) {
		d.Problem = e
		return h.showSettings(q, d, e.Status)
	}
	if err != nil {
		return err
	}
	if d.Fresh == "" && d.Link == "" {
		http.Redirect(q.w, q.r, "/settings", http.StatusSeeOther)
		return nil
	}
	return h.showSettings(q, d, http.StatusOK)
}

func (h *Handler) makeAPIToken(q *request) error {
	days, err := strconv.Atoi(q.r.PostFormValue("days"))
	if err != nil || days < 1 {
		return h.settled(q, settingsPage{}, &access.Error{Status: http.StatusBadRequest, Code: "life_invalid", Message: "The number of days is missing.", Hint: "Give a whole number from 1 to 366."})
	}
	token, err := h.c.Access.NewToken(q.ctx, q.id.User, q.id.User, strings.TrimSpace(q.r.PostFormValue("label")), time.Duration(min(days, 100_000))*24*time.Hour)
	return h.settled(q, settingsPage{Fresh: token}, err)
}

func (h *Handler) revokeAPIToken(q *request) error {
	var hash exchange.Hash
	if err := hash.UnmarshalText([]byte(q.r.PostFormValue("token"))); err != nil {
		return store.ErrNotFound
	}
	if !q.id.Role.Includes(access.Admin) { // others only their own
		own, err := h.c.Access.Tokens(q.ctx, q.id.User)
		if err != nil {
			return err
		}
		found := false
		for _, t := range own {
			found = found || t.Hash == hash
		}
		if !found {
			return store.ErrNotFound
		}
	}
	return h.settled(q, settingsPage{}, h.c.Access.RevokeToken(q.ctx, q.id.User, hash))
}

func (h *Handler) putUser(q *request) error {
	name := strings.TrimSpace(q.r.PostFormValue("name"))
	return h.settled(q, settingsPage{}, h.c.Access.PutUser(q.ctx, q.id.User, name, access.Role(q.r.PostFormValue("role")), q.r.PostFormValue("disabled") == "1"))
}

func (h *Handler) makeLink(q *request) error {
	name := q.r.PostFormValue("name")
	path, err := h.c.Access.LoginLink(q.ctx, q.id.User, name)
	return h.settled(q, settingsPage{Link: "https://" + q.r.Host + path, LinkFor: name}, err)
}
