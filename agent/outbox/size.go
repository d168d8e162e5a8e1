package outbox

import (
	"cmp"
	"crypto/ed25519"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/protocol/batch"
	"github.com/fieldpost/fieldpost/protocol/exchange"
	"github.com/fieldpost/fieldpost/protocol/report"
)

// Size is how many bytes freezing everything on the shelf would take on the wire.
func (o *Outbox) Size(now time.Time) (n int) {
	cells := map[Origin][]report.Cell{}
	o.Shelved(func(of Origin, c report.Cell) bool {
		cells[of] = append(cells[of], c)
		return true
	})
	var e batch.Encoder
	for of, cs := range cells {
		slices.SortFunc(cs, func(x, y report.Cell) int {
			return cmp.Or(x.Series.Compare(y.Series), cmp.Compare(x.Start, y.Start))
		})
		h := batch.Header{Agent: batch.ID(exchange.AgentID(o.cfg.Key.Public().(ed25519.PublicKey))), Epoch: batch.ID{1}, Seq: 2, Prev: of.Catalog,
			Catalog: of.Catalog, Consent: of.Consent, Created: now.Unix(), Simulated: of.Simulated, Zone: of.Zone, Tzdata: of.Tzdata}
		for len(cs) > 0 {
			fit := max(e.Fit(cs, batch.MaxWire), 1)
			wire, err := e.Freeze(h, cs[:fit], o.cfg.Key)
			if err != nil {
				break
			}
			n += len(wire)
			cs = cs[fit:]
		}
	}
	return n
}
