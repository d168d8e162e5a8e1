package web

import (
	"net/http"

	"github.com/fieldpost/fieldpost/collector/access"
)

// loginNeeded says how to get in.
func (h *Handler) loginNeeded(q *request) error {
	if id, err := h.c.Access.Identify(q.r); err == nil && id.User != "" && !id.Token {
		http.Redirect(q.w, q.r, "/", http.StatusSeeOther)
		return nil
	}
	q.render(http.StatusUnauthorized, "error", page{Title: "Sign in"}, access.ErrLogin)
	return nil
}

// loginPage asks to confirm: looking at the link does not spend it. It says nothing about
// whether the secret is good.
func (h *Handler) loginPage(q *request) error {
	q.render(http.StatusOK, "login", page{Title: "Sign in"}, q.r.PathValue("secret"))
	return nil
}

func (h *Handler) login(q *request) error {
	if err := h.c.Access.Login(q.w, q.r, q.r.PathValue("secret")); err != nil {
		return err
	}
	http.Redirect(q.w, q.r, "/", http.StatusSeeOther)
	return nil
}

func (h *Handler) logout(q *request) error {
	if err := h.c.Access.Logout(q.w, q.r, q.id); err != nil {
		return err
	}
	http.Redirect(q.w, q.r, "/login", http.StatusSeeOther)
	return nil
}
