package api

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/collector/access"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Param is one query or path parameter.
type Param struct {
	Name string
	In   string // query or path
	Kind string // string, integer, date, boolean
	Text string
	Enum []string
	Many bool
}

// fits says why a value does not; "" when it does.
func (p Param) fits(v string) string {
	switch {
	case len(v) > 512:
		return "is longer than 512 bytes"
	case v == "":
		return ""
	case len(p.Enum) > 0 && !slices.Contains(p.Enum, v):
		return "is none of " + joinWords(p.Enum)
	}
	switch p.Kind {
	case "integer":
		if n, err := strconv.Atoi(v); err != nil || n < 0 {
			return "is no whole number"
		}
	case "date":
		if _, err := parseDate(v); err != nil {
			return "is no date"
		}
	}
	return ""
}

// Route is one path of the API.
type Route struct {
	Path    string
	Summary string
	Need    access.Role
	Params  []Param

	list   bool
	binary bool
	row    any // zero value of a row (list) or of the answer
	do     func(*call) (any, error)
}

func (r Route) param(name string) (Param, bool) {
	for _, p := range r.Params {
		if p.Name == name && p.In == "query" {
			return p, true
		}
	}
	return Param{}, false
}

func (r Route) names() string {
	var out []string
	for _, p := range r.Params {
		if p.In == "query" {
			out = append(out, p.Name)
		}
	}
	if len(out) == 0 {
		return "no parameters"
	}
	return joinWords(out)
}

// Routes lists the API, for tests that walk it.
func (h *Handler) Routes() []Route { return h.routes() }

func grains() []string {
	var out []string
	for g := report.FiveMinutes; g <= report.Change; g++ {
		out = append(out, g.String())
	}
	return out
}

func fields() []string {
	var out []string
	for f := report.Value; f < report.Fields; f++ {
		out = append(out, f.String())
	}
	return out
}

func q(name, kind, text string, enum ...string) Param {
	return Param{Name: name, In: "query", Kind: kind, Text: text, Enum: enum}
}

func at(name, text string) Param { return Param{Name: name, In: "path", Kind: "string", Text: text} }

func paged(most string, ps ...Param) []Param {
	return append(ps, q("limit", "integer", "Rows of a page, at most "+most+"."), q("after", "string", "The cursor: next of the page before."))
}

func (h *Handler) routes() []Route {
	account, installation := q("account", "string", "Key of the account."), q("installation", "string", "Key of the installation; with account.")
	measure := q("measure", "string", "Id of the measure.")
	from, to := q("from", "date", "First start, included: 2026-01-31 or RFC 3339."), q("to", "date", "Last start, included: 2026-01-31 or RFC 3339.")
	env := q("environment", "string", "Environment; once for each that is wanted.", store.Environments()...)
	env.Many = true
	filter := q("f", "string", "Condition on an imported attribute: NAME=VALUE, !=, >=, <=, ~ (contains). Once for each.")
	filter.Many = true
	field := q("field", "string", "Field of the measure.", fields()...)
	v := access.Viewer
	return []Route{
		{Path: "/api/v1/overview", Summary: "Counts of everything", Need: v, row: overviewRow{}, do: h.overview},
		{Path: "/api/v1/accounts", Summary: "Accounts with imported attributes and the newest weekly figure of a measure", Need: v, list: true, row: accountRow{}, do: h.accounts,
			Params: paged("1,000", q("q", "string", "Search in key and name."), filter, q("m", "string", "Measure whose newest week each row shows."), q("env", "string", "Environment.", store.Environments()...),
				q("sort", "string", "name, key, installations, last_report, measure, or attr.NAME. By measure: lower end, then upper; withheld and unknown last."), q("desc", "string", "1 turns the order.", "1", "0", "true", "false"))},
		{Path: "/api/v1/accounts/{key}", Summary: "One account", Need: v, row: accountRow{}, do: h.account, Params: []Param{at("key", "Key of the account.")}},
		{Path: "/api/v1/installations", Summary: "Installations with versions, consent and last report", Need: v, list: true, row: installationRow{}, do: h.installations,
			Params: paged("1,000", q("q", "string", "Search in account, its name and installation."), account, q("env", "string", "Environment.", store.Environments()...), q("version", "string", "Exact version of the agent."),
				q("level", "string", "Usage consent.", "off", "local", "strict", "aggregate", "totals"), q("silent", "integer", "No report for this many days."),
				q("sort", "string", "Order.", "account", "installation", "last_report", "first_report", "version", "skew", "cells", "environment"), q("desc", "string", "1 turns the order.", "1", "0", "true", "false"),
				q("page", "integer", "Ignored: pages of the web page."))},
		{Path: "/api/v1/installations/{account}/{installation}", Summary: "One installation", Need: v, row: installationRow{}, do: h.installation, Params: []Param{at("account", "Key of the account."), at("installation", "Key of the installation.")}},
		{Path: "/api/v1/installations/{account}/{installation}/backlog", Summary: "Windows that are due by consent and catalog and have not arrived", Need: v, list: true, row: backlogRow{}, do: h.backlog,
			Params: paged("1,000", at("account", "Key of the account."), at("installation", "Key of the installation."))},
		{Path: "/api/v1/measurements", Summary: "Figures as they arrived, in order of installation, series and start; what a site gave to the pool alone is told by /pool only", Need: v, list: true, row: measurementRow{}, do: h.measurements,
			Params: paged("10,000", measure, account, installation, q("grain", "string", "Grain.", grains()...), field, q("totals", "string", "1: totals only, no breakdowns.", "1", "0"), from, to)},
		{Path: "/api/v1/periods", Summary: "Figures by ISO week, month, 28 days or block of weeks, per account or over the fleet", Need: v, list: true, row: periodRow{}, do: h.periods,
			Params: paged("10,000", measure, account, field, q("grain", "string", "Period; week unless given.", "week", "month", "rolling28", "4w", "12w"), q("fleet", "string", "true: one row per period over all accounts.", "true", "false"), env, from, to)},
		{Path: "/api/v1/segments", Summary: "Accounts grouped by an imported attribute in one window of a measure: how many told it, median, quartiles, sum, and the sum without the largest; the last row is of all", Need: v, list: true, row: segmentRow{}, do: h.segments,
			Params: paged("1,000", measure, q("trait", "string", "Imported trait of the accounts."), field, q("grain", "string", "Period; week unless given.", "week", "month", "rolling28", "4w", "12w"), q("start", "date", "Start of the window; of rolling28 its last day."), env)},
		{Path: "/api/v1/pool", Summary: "Sums of noised figures over at least 100 accounts, per block of 12 weeks, with 95 % error bars; or why they are withheld", Need: v, list: true, row: poolRow{}, do: h.pool,
			Params: paged("10,000", measure, env, from, to)},
		{Path: "/api/v1/measures", Summary: "The catalog: every measure that may be taken, with its coverage", Need: v, list: true, row: measureRow{}, do: h.measures, Params: paged("1,000")},
		{Path: "/api/v1/coverage", Summary: "Installations by the form of their newest figure, for each measure and definition", Need: v, list: true, row: coverageRow{}, do: h.coverage, Params: paged("1,000")},
		{Path: "/api/v1/batches", Summary: "Batches that arrived, newest first", Need: v, list: true, row: batchRow{}, do: h.batches, Params: paged("10,000", account, installation)},
		{Path: "/api/v1/quarantine", Summary: "Batches that were refused, newest first", Need: v, list: true, row: quarantineRow{}, do: h.quarantine, Params: paged("1,000", account, installation)},
		{Path: "/api/v1/quarantine/{id}/bytes", Summary: "A refused batch as it came", Need: access.Support, binary: true, do: h.quarantineBytes, Params: []Param{at("id", "Number of the row.")}},
		{Path: "/api/v1/losses", Summary: "Gaps that can never be filled, newest first", Need: v, list: true, row: lossRow{}, do: h.losses, Params: paged("1,000", account, installation)},
		{Path: "/api/v1/aside", Summary: "Figures that came a second time, newest first", Need: v, list: true, row: asideRow{}, do: h.aside, Params: paged("1,000", account, installation)},
		{Path: "/api/v1/audit", Summary: "What was done by whom, newest first", Need: access.Admin, list: true, row: auditRow{}, do: h.audit, Params: paged("1,000")},
	}
}

func isTrue(v string) bool { return v == "1" || strings.EqualFold(v, "true") }
