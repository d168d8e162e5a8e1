package api

import (
	"math"
	"time"

	"github.com/fieldpost/fieldpost/collector/insight"
	"github.com/fieldpost/fieldpost/collector/store"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Row types: their fields are the columns of CSV and the schema of OpenAPI.

type overviewRow struct {
	Accounts         int            `json:"accounts"`
	Installations    int            `json:"installations"`
	Reporting        int            `json:"reporting"`
	Agents           int            `json:"agents"`
	Measures         int            `json:"measures"`
	Batches          int64          `json:"batches"`
	Cells            int64          `json:"cells"`
	Aside            int64          `json:"aside"`
	Quarantined      int64          `json:"quarantined"`
	Losses           int64          `json:"losses"`
	ByEnvironment    map[string]int `json:"by_environment"`
	ByVersion        map[string]int `json:"by_version"`
	FirstReport      *time.Time     `json:"first_report,omitempty"`
	LastReport       *time.Time     `json:"last_report,omitempty"`
	Clock            *time.Time     `json:"clock,omitempty"` // virtual, of simulated sites
	Catalog          string         `json:"catalog,omitempty"`
	CatalogVersion   int            `json:"catalog_version,omitempty"`
	ConsentAggregate int            `json:"consent_aggregate"`
	ConsentTotals    int            `json:"consent_totals"`
	ConsentNothing   int            `json:"consent_nothing"`
}

// interval is lo and hi: both absent where the form has no numbers, hi absent for an open top.
func interval(f report.Form, i report.Interval) (lo, hi *float64) {
	if !f.HasNumbers() {
		return nil, nil
	}
	if math.IsInf(i.Hi, 1) {
		return &i.Lo, nil
	}
	return &i.Lo, &i.Hi
}

type periodRow struct {
	Account    string   `json:"account"` // "" over the fleet
	Measure    string   `json:"measure"`
	Hash       string   `json:"hash"`
	Field      string   `json:"field"`
	Grain      string   `json:"grain"`
	Start      string   `json:"start"`
	Form       string   `json:"form"`
	Lo         *float64 `json:"lo,omitempty"`
	Hi         *float64 `json:"hi,omitempty"`
	Exact      int      `json:"exact" doc:"Parts of the sum that were told exactly: installations of an account, accounts of the fleet."`
	Banded     int      `json:"banded" doc:"Parts told as an interval: band, share or implied."`
	Noised     int      `json:"noised" doc:"Parts told with noise. A sum with any is noised itself: lo and hi leave the noise out, so the true figure may lie outside."`
	Suppressed int      `json:"suppressed" doc:"Parts that were withheld; they are not in lo and hi."`
	Unknown    int      `json:"unknown" doc:"Parts that told nothing; they are not in lo and hi."`
	Windows    int      `json:"windows"`
}

func ofPeriod(p store.Period) periodRow {
	r := periodRow{Account: p.Account, Measure: p.Measure, Hash: p.Hash, Field: p.Field.String(), Grain: p.Grain.String(), Start: report.StartString(p.Grain, p.Start),
		Form: p.Form().String(), Exact: p.Exact, Banded: p.Banded, Noised: p.Noised, Suppressed: p.Suppressed, Unknown: p.Unknown, Windows: p.Windows}
	r.Lo, r.Hi = interval(p.Form(), p.Interval)
	return r
}

type poolRow struct {
	Measure  string            `json:"measure"`
	Hash     string            `json:"hash"`
	Field    string            `json:"field"`
	Start    string            `json:"start"` // of the block of 12 weeks
	Dims     map[string]string `json:"dims"`
	Accounts int               `json:"accounts"`
	Sites    int               `json:"sites"`
	Form     string            `json:"form"`             // noised, or suppressed: then reason says why
	Value    *float64          `json:"value,omitempty"`  // the sum; right on average
	Margin   *float64          `json:"margin,omitempty"` // value ± margin holds the exact sum in 95 of 100
	Lo       *float64          `json:"lo,omitempty"`
	Hi       *float64          `json:"hi,omitempty"`
	Error    *float64          `json:"error,omitempty"` // margin ÷ value
	Reason   string            `json:"reason,omitempty"`
	Epsilon  float64           `json:"epsilon"` // what a user of a site spent on the measure in the block
}

func ofPool(f insight.Figure) poolRow {
	r := poolRow{Measure: f.Measure, Hash: f.Hash, Field: f.Field.String(), Start: report.StartString(report.Block12w, f.Start), Dims: f.Dims,
		Accounts: f.Accounts, Sites: f.Sites, Form: report.Suppressed.String(), Reason: string(f.Reason), Epsilon: f.Epsilon}
	if f.Reason == insight.Shown {
		r.Form, r.Value, r.Margin, r.Lo, r.Hi, r.Error = report.Noised.String(), &f.Value, &f.Margin, &f.Interval.Lo, &f.Interval.Hi, &f.Error
	}
	return r
}

type accountRow struct {
	Key           string            `json:"key"`
	Name          string            `json:"name"`
	Closed        bool              `json:"closed"`
	Installations int               `json:"installations"`
	Reporting     int               `json:"reporting"`
	Environments  []string          `json:"environments"`
	LastReport    *time.Time        `json:"last_report,omitempty"`
	Measure       string            `json:"measure,omitempty"`
	Start         string            `json:"start,omitempty"`
	Form          string            `json:"form,omitempty"` // of the newest week of measure
	Lo            *float64          `json:"lo,omitempty"`
	Hi            *float64          `json:"hi,omitempty"`
	Attributes    map[string]string `json:"attributes"`
}

func ofAccount(a store.AccountRow) accountRow {
	r := accountRow{Key: a.Key, Name: a.Name, Closed: a.Closed, Installations: a.Installations, Reporting: a.Reporting, Environments: a.Environments, LastReport: moment(a.LastReport), Attributes: a.Attributes}
	if r.Environments == nil {
		r.Environments = []string{}
	}
	if p := a.Measure; p != nil {
		r.Measure, r.Start, r.Form = p.Measure, report.StartString(p.Grain, p.Start), p.Form().String()
		r.Lo, r.Hi = interval(p.Form(), p.Interval)
	}
	return r
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

type installationRow struct {
	Account        string            `json:"account"`
	AccountName    string            `json:"account_name"`
	Installation   string            `json:"installation"`
	Environment    string            `json:"environment"`
	Zone           string            `json:"zone,omitempty"`
	Simulated      bool              `json:"simulated"`
	Created        *time.Time        `json:"created,omitempty"`
	FirstReport    *time.Time        `json:"first_report,omitempty"`
	LastReport     *time.Time        `json:"last_report,omitempty"`
	LastCheckIn    *time.Time        `json:"last_check_in,omitempty"`
	Version        string            `json:"version,omitempty"`
	SkewSeconds    float64           `json:"skew_seconds"`
	Agents         int               `json:"agents"`
	Catalog        string            `json:"catalog,omitempty"`
	CatalogVersion int               `json:"catalog_version,omitempty"`
	Consent        map[string]string `json:"consent"`
	Paused         bool              `json:"paused"`
	Statement      string            `json:"statement,omitempty"`
	Batches        int64             `json:"batches"`
	Cells          int64             `json:"cells"`
	Aside          int64             `json:"aside"`
	Refused        int64             `json:"refused"`
	Losses         int64             `json:"losses"`
}

func ofInstallation(i store.Installation) installationRow {
	r := installationRow{Account: i.Account, AccountName: i.AccountName, Installation: i.Key, Environment: i.Environment, Zone: i.Zone, Simulated: i.Simulated,
		Created: moment(i.Created), FirstReport: moment(i.FirstReport), LastReport: moment(i.LastReport), LastCheckIn: moment(i.LastCheckIn), Version: i.Version,
		SkewSeconds: i.Skew.Seconds(), Agents: i.Agents, Catalog: i.CatalogName, CatalogVersion: i.CatalogVersion, Consent: map[string]string{}, Paused: i.Paused,
		Batches: i.Batches, Cells: i.Cells, Aside: i.Aside, Refused: i.Refused, Losses: i.Losses}
	if i.Statement != ([32]byte{}) {
		r.Statement = i.Statement.String()
	}
	for k, v := range i.Consent {
		r.Consent[k] = string(v)
	}
	return r
}

// measurementRow is report.Figure's JSON with its owner.
type measurementRow struct {
	Account      string            `json:"account"`
	Installation string            `json:"installation"`
	Environment  string            `json:"environment"`
	Measure      string            `json:"measure"`
	Hash         string            `json:"hash"`
	Field        string            `json:"field"`
	Grain        string            `json:"grain"`
	Start        string            `json:"start"`
	Dims         map[string]string `json:"dims"`
	Form         string            `json:"form"`
	Lo           *float64          `json:"lo,omitempty"`
	Hi           *float64          `json:"hi,omitempty"`
	Text         string            `json:"text,omitempty"`
	Blob         []byte            `json:"blob,omitempty"`
}

func ofFigure(r store.FigureRow) measurementRow {
	f := r.Figure
	m := measurementRow{Account: r.Account, Installation: r.Installation, Environment: r.Environment, Measure: f.Measure, Hash: f.Hash, Field: f.Field.String(), Grain: f.Grain.String(),
		Start: report.StartString(f.Grain, f.Start), Dims: f.Dims, Form: f.Form.String(), Text: f.Text, Blob: f.Blob}
	if m.Dims == nil {
		m.Dims = map[string]string{}
	}
	if !f.Field.IsBlob() {
		m.Lo, m.Hi = interval(f.Form, report.Interval{Lo: f.Lo, Hi: f.Hi})
	}
	return m
}

type backlogRow struct {
	Measure string     `json:"measure"`
	Grain   string     `json:"grain"`
	Due     int64      `json:"due"`
	Arrived int64      `json:"arrived"`
	Missing int64      `json:"missing"`
	Since   *time.Time `json:"since,omitempty"`
}

type measureRow struct {
	ID         string   `json:"id"`
	Kind       string   `json:"kind"`
	Subject    string   `json:"subject"`
	Category   string   `json:"category"`
	Question   string   `json:"question"`
	Purpose    string   `json:"purpose"`
	Owner      string   `json:"owner"`
	ConsumedIn []string `json:"consumed_in"`
	Retention  string   `json:"retention"`
	Expires    string   `json:"expires,omitempty"`
	Target     float64  `json:"target,omitempty"`
	Hash       string   `json:"hash"`
	Exact      int      `json:"exact" doc:"Installations whose newest figure is exact."`
	Banded     int      `json:"banded" doc:"Installations whose newest figure is an interval: band, share or implied."`
	Noised     int      `json:"noised" doc:"Installations whose newest figure has noise; what was given to the pool alone is counted here and shown nowhere."`
	Suppressed int      `json:"suppressed" doc:"Installations that withheld it."`
	Unknown    int      `json:"unknown" doc:"Installations that report and never told it."`
}

type coverageRow struct {
	Measure    string     `json:"measure"`
	Hash       string     `json:"hash"`
	Kind       string     `json:"kind"`
	Subject    string     `json:"subject"`
	Category   string     `json:"category"`
	Exact      int        `json:"exact" doc:"Installations whose newest figure is exact."`
	Banded     int        `json:"banded" doc:"Installations whose newest figure is an interval: band, share or implied."`
	Noised     int        `json:"noised" doc:"Installations whose newest figure has noise; what was given to the pool alone is counted here and shown nowhere."`
	Suppressed int        `json:"suppressed" doc:"Installations that withheld it."`
	Unknown    int        `json:"unknown" doc:"Installations that report and never told it."`
	Newest     *time.Time `json:"newest,omitempty"`
}

type batchRow struct {
	Account      string     `json:"account"`
	Installation string     `json:"installation"`
	Agent        string     `json:"agent"`
	Epoch        string     `json:"epoch"`
	Seq          uint64     `json:"seq"`
	Hash         string     `json:"hash"`
	Bytes        int        `json:"bytes"`
	Cells        int        `json:"cells"`
	Aside        int        `json:"aside"`
	Received     *time.Time `json:"received"`
	Refused      string     `json:"refused,omitempty"`
}

type quarantineRow struct {
	ID           int64      `json:"id"`
	At           *time.Time `json:"at"`
	Account      string     `json:"account"`
	Installation string     `json:"installation"`
	Agent        string     `json:"agent"`
	Epoch        string     `json:"epoch"`
	Seq          uint64     `json:"seq"`
	Hash         string     `json:"hash"`
	Code         string     `json:"code"`
	Message      string     `json:"message"`
	Bytes        int        `json:"bytes"`
}

type lossRow struct {
	ID           int64      `json:"id"`
	At           *time.Time `json:"at"`
	Account      string     `json:"account"`
	Installation string     `json:"installation"`
	Agent        string     `json:"agent"`
	Epoch        string     `json:"epoch"`
	From         uint64     `json:"from"`
	To           uint64     `json:"to"`
	Why          string     `json:"why"`
}

type asideRow struct {
	At             *time.Time `json:"at"`
	Epoch          string     `json:"epoch"`
	Seq            uint64     `json:"seq"`
	Equal          bool       `json:"equal"`
	measurementRow            // without lo and hi where the figure was given to the pool alone
}

type auditRow struct {
	ID      int64      `json:"id"`
	At      *time.Time `json:"at"`
	Actor   string     `json:"actor"`
	Action  string     `json:"action"`
	Subject string     `json:"subject"`
	Detail  string     `json:"detail"`
}
