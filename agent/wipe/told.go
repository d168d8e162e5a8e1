package wipe

import "github.com/fieldpost/fieldpost/agent/control"

// Told is what a wipe does, in the words of its answer. keyFile is a site key that stands elsewhere; "" none.
func Told(o Order, pending bool, keyFile string) control.Wiped {
	out := control.Wiped{Pending: pending, Gone: append([]string{"site key"}, Measured()...)}
	sort := func(keep bool, names ...string) {
		if keep {
			out.Kept = append(out.Kept, names...)
		} else {
			out.Gone = append(out.Gone, names...)
		}
	}
	sort(o.KeepEnrolment, "identity", "enrolment", "catalogs", "consent")
	sort(!o.Ledger, "ledger")
	if keyFile != "" {
		out.Kept = append(out.Kept, keyFile)
	}
	return out
}
