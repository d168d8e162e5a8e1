package sqlite

import "github.com/fieldpost/fieldpost/protocol/report"

type coverKey struct {
	series int64
	form   report.Form
}

type coverDelta struct{ n, newest int64 }

// covered notes that an installation's newest total took on (or left) a form.
func (a *applying) covered(k coverKey, n, start int64) {
	d := a.cover[k]
	d.n += n
	d.newest = max(d.newest, start)
	a.cover[k] = d
}

func (a *applying) flushCoverage() error {
	for k, d := range a.cover {
		if _, err := a.Exec(`INSERT INTO coverage (series, form, n, newest) VALUES (?,?,?,?)
			ON CONFLICT DO UPDATE SET n = n + excluded.n, newest = max(newest, excluded.newest)`, k.series, int64(k.form), d.n, d.newest); err != nil {
			return err
		}
	}
	return nil
}
