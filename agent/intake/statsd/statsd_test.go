package statsd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/agent/intake"
	"github.com/fieldpost/fieldpost/agent/intake/intaketest"
	"github.com/fieldpost/fieldpost/agent/record"
	"github.com/fieldpost/fieldpost/protocol/catalog"
)

const words = `
catalog: test
version: 1
vendor: Test
metrics:
  orders: {match: shop.orders, type: counter, attributes: {result: {values: [ok, failed], match: outcome}}}
  waiting: {match: shop.waiting, type: gauge}
  took: {match: shop.took, type: histogram, unit: s, bounds: [0.1, 0.5, 1], attributes: {route: {values: [cart, pay]}}}
  size: {match: shop.size, type: histogram, unit: By, bounds: [100, 1000]}
  unused: {match: shop.unused, type: counter}
measures:
`

func vocabulary(t testing.TB) *intake.Vocabulary {
	t.Helper()
	text := words
	for metric, kind := range map[string]string{"orders": "counter", "waiting": "gauge", "took": "histogram", "size": "histogram"} {
		text += fmt.Sprintf("  - {id: %[1]s, kind: %[2]s, metric: %[1]s, subject: traffic, category: usage, question: Q, purpose: P, owner: o, retention: 30d}\n", metric, kind)
	}
	c, err := catalog.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return intaketest.Vocabulary(c)
}

// Positions in the catalog above.
const (
	orders = iota
	waiting
	took
	size
)

// door is a server over a journal in memory; the clock stands still until at is moved.
type door struct {
	*Server
	j  intaketest.Journal
	at time.Time
	v  *intake.Vocabulary
}

func newDoor(t testing.TB) *door {
	d := &door{at: intaketest.Now(), v: vocabulary(t)}
	d.Server = New(Config{Vocabulary: func() *intake.Vocabulary { return d.v }, Journal: &d.j, Clock: intake.NewClock(func() time.Time { return d.at }, 0)})
	return d
}

// send is one datagram; the clock moves on a millisecond.
func (d *door) send(lines ...string) {
	d.take([]byte(strings.Join(lines, "\n")))
	d.at = d.at.Add(time.Millisecond)
}

func (d *door) flushed(t testing.TB) []record.Sample {
	t.Helper()
	if err := d.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var out []record.Sample
	for _, r := range d.j.Records() {
		out = append(out, r.Samples...)
	}
	return out
}

// adds up is the room's first promise about counting.
func addsUp(t testing.TB, s Stats) {
	t.Helper()
	if sum := s.Journaled + s.Pending + s.Lost + s.Refused.Total(); sum != s.Values {
		t.Errorf("%d values, %d accounted for: %+v", s.Values, sum, s)
	}
}

func TestLinesBecomeSamples(t *testing.T) {
	none := uint16(3) // (none) of two values
	count := func(v float64, result uint16) record.Sample {
		return record.Sample{Metric: orders, Attributes: []uint16{result}, Delta: true, Value: v}
	}
	took := func(route uint16, n uint64, sum float64, buckets ...uint64) record.Sample {
		return record.Sample{Metric: took, Attributes: []uint16{route}, Delta: true, Count: n, Sum: sum, Buckets: buckets}
	}
	level := func(v float64) record.Sample { return record.Sample{Metric: waiting, Value: v} }
	for name, c := range map[string]struct {
		lines []string
		want  []record.Sample
	}{
		"increments add up":           {[]string{"shop.orders:1|c", "shop.orders:2|c", "shop.orders:0.1|c", "shop.orders:0.2|c"}, []record.Sample{count(3.3, none)}},
		"several values":              {[]string{"shop.orders:1:2:3|c"}, []record.Sample{count(6, none)}},
		"a declared tag":              {[]string{"shop.orders:1|c|#outcome:ok", "shop.orders:1|c|#outcome:failed", "shop.orders:1|c|#outcome:ok"}, []record.Sample{count(2, 0), count(1, 1)}},
		"an unlisted value":           {[]string{"shop.orders:1|c|#outcome:bob@example.com", "shop.orders:1|c|#outcome:eve"}, []record.Sample{count(2, 2)}},
		"undeclared tags do not tell": {[]string{"shop.orders:1|c|#user:bob,outcome:ok", "shop.orders:1|c|#user:eve,outcome:ok,bare", "shop.orders:1|c|#outcome:ok|c:in-4711"}, []record.Sample{count(3, 0)}},
		"a rate":                      {[]string{"shop.orders:1|c|@0.1"}, []record.Sample{count(10, none)}},
		"a rate before the tags":      {[]string{"shop.orders:3|c|@0.5|#outcome:ok"}, []record.Sample{count(6, 0)}},
		"a rate behind the tags":      {[]string{"shop.orders:3|c|#outcome:ok|@0.5"}, []record.Sample{count(6, 0)}},
		"a third, per line":           {[]string{"shop.orders:1|c|@0.3", "shop.orders:1|c|@0.3"}, []record.Sample{count(6.666666666, none)}},
		"later additions":             {[]string{"shop.orders:1|c|#outcome:ok|e:it-false,cn-web|card:low"}, []record.Sample{count(1, 0)}},
		"carriage returns":            {[]string{"shop.orders:1|c\r", "", "shop.orders:1|c\r"}, []record.Sample{count(2, none)}},
		"large numbers":               {[]string{"shop.orders:9000000000000000000|c", "shop.orders:9e18|c"}, []record.Sample{count(1.8e19, none)}},
		"milliseconds where seconds are wanted": {[]string{"shop.took:100|ms", "shop.took:100.5|ms", "shop.took:250:1000|ms|#route:pay", "shop.took:1001|ms|#route:pay"},
			[]record.Sample{took(none, 2, 0.2005, 1, 1, 0, 0), took(1, 3, 2.251, 0, 1, 1, 1)}},
		"h and d as they stand":                      {[]string{"shop.took:0.25|h|#route:cart", "shop.took:0.5|d|#route:cart"}, []record.Sample{took(0, 2, 0.75, 0, 2, 0, 0)}},
		"a sampled timer counts":                     {[]string{"shop.took:100|ms|@0.1"}, []record.Sample{took(none, 10, 1, 10, 0, 0, 0)}},
		"a rate of thirds, rounded at nine decimals": {[]string{"shop.took:100|ms|@0.3", "shop.took:100|ms|@0.3", "shop.took:100|ms|@0.3"}, []record.Sample{took(none, 10, 0.999999999, 10, 0, 0, 0)}},
		"microseconds":                               {[]string{"shop.took:0.0625|ms"}, []record.Sample{took(none, 1, 0.0000625, 1, 0, 0, 0)}},
		"milliseconds of another unit": {[]string{"shop.size:100|ms", "shop.size:2e3|h", "shop.size:-5|d"},
			[]record.Sample{{Metric: size, Delta: true, Count: 3, Sum: 2095, Buckets: []uint64{2, 0, 1}}}},
		"a gauge":                     {[]string{"shop.waiting:7|g"}, []record.Sample{level(7)}},
		"a gauge changes":             {[]string{"shop.waiting:7|g", "shop.waiting:-2|g", "shop.waiting:+10|g"}, []record.Sample{level(5), level(15)}},
		"from nothing":                {[]string{"shop.waiting:+3|g"}, []record.Sample{level(3)}},
		"changes are exact":           {[]string{"shop.waiting:+0.1|g", "shop.waiting:+0.2|g"}, []record.Sample{level(0.1), level(0.3)}},
		"lowest, highest, last":       {[]string{"shop.waiting:5|g", "shop.waiting:9|g", "shop.waiting:1|g", "shop.waiting:4|g"}, []record.Sample{level(9), level(1), level(4)}},
		"the same again":              {[]string{"shop.waiting:5|g", "shop.waiting:5|g"}, []record.Sample{level(5), level(5)}},
		"several values are the last": {[]string{"shop.waiting:5:6:7|g"}, []record.Sample{level(5), level(7)}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			for _, l := range c.lines {
				d.send(l)
			}
			got := d.flushed(t)
			for i := range got {
				if got[i].Stream == [8]byte{} {
					t.Error("a sample without a stream")
				}
				got[i].Stream, got[i].Time = [8]byte{}, 0
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			s := d.Stats()
			if addsUp(t, s); s.Refused.Total() != 0 || s.Lost != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	tags := "a:b"
	for range 256 {
		tags += ",a:b"
	}
	for line, want := range map[string]record.Reason{
		"shop.orders":                                   record.Malformed,
		"shop.orders:1":                                 record.Malformed,
		":1|c":                                          record.Malformed,
		"shop.orders:|c":                                record.Malformed,
		"shop.orders:one|c":                             record.Malformed,
		"shop.orders:1e|c":                              record.Malformed,
		"shop.orders:1.2.3|c":                           record.Malformed,
		"shop.orders:1|kv":                              record.Malformed,
		"shop.orders:1|c|":                              record.Malformed,
		"shop.orders:1|c|@0":                            record.Malformed,
		"shop.orders:1|c|@2":                            record.Malformed,
		"shop.orders:1|c|@-0.5":                         record.Malformed,
		"shop.orders:1|c|@NaN":                          record.Malformed,
		"shop.orders:1|c|Tsoon":                         record.Malformed,
		"shop.orders:1|c|T9999999999":                   record.Malformed,
		"shop.orders\xff:1|c":                           record.Malformed,
		"shop.nothing:one|c":                            record.Malformed,
		strings.Repeat("x", 257) + ":1|c":               record.OverSize,
		"shop.orders:1|c|#" + tags:                      record.OverSize,
		"shop.nothing:1|c":                              record.UnknownEvent,
		"shop.nothing:bob|s":                            record.UnknownEvent,
		"shop.unused:1|c":                               record.Off,
		"shop.orders:bob|s":                             record.Off,
		"shop.orders:bob:eve|s":                         record.Off,
		"shop.orders:-1|c":                              record.OverValue,
		"shop.orders:NaN|c":                             record.OverValue,
		"shop.orders:1e19|c":                            record.OverValue,
		"shop.waiting:Inf|g":                            record.OverValue,
		"shop.waiting:-inf|g":                           record.OverValue,
		"shop.orders:1|g":                               record.OverValue,
		"shop.took:1|c":                                 record.OverValue,
		"shop.waiting:1|h":                              record.OverValue,
		"shop.took:1" + strings.Repeat("0", 300) + "|h": record.OverValue,
	} {
		d := newDoor(t)
		d.send(line)
		if got := d.flushed(t); len(got) != 0 {
			t.Errorf("%.40q became %+v", line, got)
		}
		s := d.Stats()
		if s.Refused[want] != 1 || s.Values != 1 {
			t.Errorf("%.40q: %+v, want one %s", line, s, want)
		}
		if _, samples := d.j.Received(); samples[want] != 1 || samples.Total() != 1 {
			t.Errorf("%.40q is accounted for as %v", line, samples)
		}
		addsUp(t, s)
	}
}

func TestAMixedDatagram(t *testing.T) {
	d := newDoor(t)
	d.send("shop.orders:1:x:-1:2|c", "_e{5,4}:title|text|#user:bob", "_sc|db|0|m:down", "shop.orders:bob|s", "nonsense")
	got := d.flushed(t)
	if len(got) != 1 || got[0].Value != 3 {
		t.Errorf("%+v", got)
	}
	want := Stats{Datagrams: 1, Values: 6, Journaled: 2, Sets: 1, Events: 1, Checks: 1,
		Refused: record.Counts{record.Malformed: 2, record.Off: 1, record.OverValue: 1}}
	if diff := cmp.Diff(want, d.Stats()); diff != "" {
		t.Error(diff)
	}
}

func TestCanaryNothingUndeclaredReachesTheJournal(t *testing.T) {
	d := newDoor(t)
	d.send("shop.orders:1|c|#user:canary,outcome:canary", "canary:1|c", "shop.waiting:1|g|#pod:canary|c:canary", "shop.orders:canary|s", "_e{6,6}:canary|canary", "shop.took:1|ms|@0.5|#canary")
	d.flushed(t)
	if strings.Contains(d.j.Raw(), "canary") {
		t.Error("a tag that is not declared stands in the journal")
	}
}

// What a gauge's streams show cannot be added: they stay apart by all tags and the container.
func TestGaugesStayApartByTheirStream(t *testing.T) {
	d := newDoor(t)
	d.send("shop.waiting:1|g|#a:b,c:d", "shop.waiting:+1|g|#c:d,a:b", "shop.waiting:10|g|#a:b", "shop.waiting:20|g|#a:b|c:one")
	streams := map[[8]byte]float64{}
	for _, s := range d.flushed(t) {
		streams[s.Stream] = s.Value
	}
	if len(streams) != 3 {
		t.Errorf("%v", streams)
	}
	d.send("shop.waiting:-0.5|g|#c:d,a:b") // remembered beyond the flush
	all := d.flushed(t)
	if last := all[len(all)-1]; last.Value != 1.5 {
		t.Errorf("%+v", last)
	}
}

// No sum spans a minute, so none spans two windows.
func TestValuesStayInTheirMinute(t *testing.T) {
	d := newDoor(t)
	d.at = intaketest.Now().Add(4*time.Minute + 59*time.Second)
	d.send("shop.orders:1|c")
	d.at = intaketest.Now().Add(5 * time.Minute)
	d.send("shop.orders:2|c")
	sent := intaketest.Now().Add(-time.Hour)
	d.send(fmt.Sprintf("shop.orders:4|c|T%d", sent.Unix()))
	ahead := intaketest.Now().Add(time.Hour)
	d.send(fmt.Sprintf("shop.orders:8|c|T%d", ahead.Unix()))
	var got []string
	for _, s := range d.flushed(t) {
		got = append(got, fmt.Sprint(s.Value, " ", time.Unix(0, s.Time).UTC().Format("15:04")))
	}
	if diff := cmp.Diff([]string{"1 12:04", "10 12:05", "4 11:00"}, got); diff != "" {
		t.Error(diff)
	}
	if n := d.j.Records()[0].Skewed; n != 1 {
		t.Errorf("%d skewed", n)
	}
}

func TestWhatTheJournalDoesNotTakeWaits(t *testing.T) {
	d := newDoor(t)
	d.j.FailWith(errors.New("the disk is full"))
	for range 10 {
		d.send("shop.orders:1|c")
		if d.Flush(t.Context()) == nil {
			t.Fatal("a flush succeeded")
		}
	}
	if s := d.Stats(); s.Pending != 10 || s.Journaled != 0 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
	d.j.FailWith(nil)
	d.last(t.Context())
	total := 0.0
	for _, s := range d.flushed(t) {
		total += s.Value
	}
	if s := d.Stats(); total != 10 || s.Journaled != 10 || s.Pending != 0 {
		t.Errorf("%v of 10: %+v", total, s)
	}
}

func TestAnotherVocabularyBeginsAnotherRecord(t *testing.T) {
	d := newDoor(t)
	d.send("shop.orders:1|c")
	d.v = intake.NewVocabulary(nil, nil)
	d.send("shop.orders:1|c")
	d.flushed(t)
	rs := d.j.Records()
	if len(rs) != 2 || len(rs[0].Samples) != 1 || rs[0].Catalog == rs[1].Catalog || rs[1].RefusedSamples[record.Off] != 1 {
		t.Errorf("%+v", rs)
	}
	d.j.FailWith(errors.New("the disk is full"))
	for i := range 2 * maxWaiting {
		if d.v = vocabulary(t); i%2 == 0 {
			d.send("shop.orders:1:1|c")
		}
		d.send("shop.orders:1|c")
	}
	s := d.Stats()
	if addsUp(t, s); s.Lost == 0 || len(d.waiting) != maxWaiting {
		t.Errorf("%d wait: %+v", len(d.waiting), s)
	}
}

// What is no longer collected is no longer remembered either.
func TestOffForgetsTheGauges(t *testing.T) {
	d := newDoor(t)
	d.send("shop.waiting:7|g")
	on := d.v
	d.v = intake.NewVocabulary(nil, nil)
	d.send("shop.waiting:+1|g")
	if len(d.desk.levels) != 0 {
		t.Error("a gauge is remembered although it is off")
	}
	d.v = on
	d.send("shop.waiting:+1|g")
	all := d.flushed(t)
	if len(all) != 2 || all[1].Value != 1 {
		t.Errorf("%+v", all)
	}
}

// A flood of streams, of T or of tags fills the bag and costs no more.
func TestAFloodIsBounded(t *testing.T) {
	d := newDoor(t)
	for i := range 3 * maxSums {
		d.send(fmt.Sprintf("shop.waiting:1|g|#id:%d", i), fmt.Sprintf("shop.orders:1|c|#id:%d", i), fmt.Sprintf("shop.orders:1|c|T%d", i*60))
	}
	s := d.Stats()
	if addsUp(t, s); len(d.desk.bag.sums) > maxSums || len(d.desk.levels) > maxGauges || s.Lost == 0 {
		t.Errorf("%d sums, %d gauges: %+v", len(d.desk.bag.sums), len(d.desk.levels), s)
	}
	if len(d.full) != 1 {
		t.Error("nobody was told that the bag is full")
	}
	d.flushed(t)
	if n := len(d.j.Raw()); n > 1<<20 {
		t.Errorf("the flood cost %d bytes", n)
	}
	addsUp(t, d.Stats())
	// Gauges nobody hears of any more make room.
	d.at = d.at.Add(2 * time.Hour)
	d.flushed(t)
	before := d.Stats().Refused[record.OverValue]
	d.send("shop.waiting:1|g|#id:new")
	if s := d.Stats(); s.Refused[record.OverValue] != before {
		t.Errorf("a new gauge found no room: %+v", s)
	}
}

// A stop reads what has arrived and journals it.
func TestStopKeepsWhatHasArrived(t *testing.T) {
	v := vocabulary(t)
	var j intaketest.Journal
	s := New(Config{Vocabulary: func() *intake.Vocabulary { return v }, Journal: &j, FlushEvery: time.Hour})
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("udp", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 100 {
		if _, err := client.Write([]byte("shop.orders:1|c\nshop.orders:2|c")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Serve(ctx, conn); err != nil {
		t.Fatal(err)
	}
	st := s.Stats()
	addsUp(t, st)
	if rs := j.Records(); st.Journaled != 200 || len(rs) != 1 || rs[0].Samples[0].Value != 300 {
		t.Errorf("%+v", st)
	}
}

// Where sums and quotients fit nine decimals they are those of rational arithmetic; elsewhere they are
// rounded there, once a line.
func TestRatesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, e := rapid.Int64Range(math.MinInt64+1, math.MaxInt64).Draw(t, "value"), rapid.IntRange(0, 9).Draw(t, "decimals")
		of := int64(tens(uint8(rapid.IntRange(0, 9).Draw(t, "rate's decimals"))))
		part := rapid.Int64Range(1, of).Draw(t, "rate")
		n := number{Decimal: record.Decimal{Mantissa: m, Exponent: uint8(e)}}
		got := rate{uint64(part), uint64(of)}.undo(n.fixed(0))
		exact := new(big.Rat).SetFrac(big.NewInt(m), big.NewInt(int64(tens(uint8(e)))))
		exact.Mul(exact, big.NewRat(of, part))
		diff := new(big.Rat).Sub(exact, got.rat())
		if diff.Abs(diff).Cmp(big.NewRat(1, 2e9)) > 0 {
			t.Fatalf("%d/10^%d ÷ %d/%d: off by %s", m, e, part, of, diff.FloatString(12))
		}
		if f, _ := got.rat().Float64(); f != got.float() {
			t.Fatalf("%v, want %v", got.float(), f)
		}
	})
}

func (f fixed) rat() *big.Rat {
	n := new(big.Int).SetUint64(f.hi)
	n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(f.lo))
	if f.negative() {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), 128))
	}
	return new(big.Rat).SetFrac(n, big.NewInt(1e9))
}
