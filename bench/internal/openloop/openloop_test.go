package openloop

import (
	"errors"
	"slices"
	"testing"
	"time"

	"onhand/bench/internal/backlog"
	"onhand/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var zero = time.Unix(1_000_000, 0)

func at(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }

func TestAScheduleDoesNotMoveWhenSomebodyIsLate(t *testing.T) {
	t.Parallel()
	due := Steady(zero, 400)
	for i, want := range map[int]time.Time{0: at(0), 2: at(5), 400: at(1000), 4000: at(10_000)} {
		if got := due(i); !got.Equal(want) {
			t.Errorf("event %d is due at %s, want %s", i, got, want)
		}
	}
}

func TestARecordIsCommittedWithTheFirstPositionBeyondIt(t *testing.T) {
	t.Parallel()
	seen := map[int32][]Seen{0: {{at(10), 1}, {at(20), 5}, {at(30), 6}}, 3: {{at(7), 1}}}
	sent := []Sent{{0, 0, at(9)}, {0, 1, at(9)}, {0, 4, at(19)}, {0, 5, at(29)}, {3, 0, at(0)}}
	got, err := Latencies(sent, seen)
	want := []time.Duration{1e6, 11e6, 1e6, 1e6, 7e6}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, missing := range []Sent{{0, 6, at(0)}, {1, 0, at(0)}} {
		if _, err := Latencies([]Sent{missing}, seen); !errors.Is(err, ErrUncommitted) {
			t.Errorf("%+v: %v, want ErrUncommitted", missing, err)
		}
	}
}

func TestPercentilesAreValuesThatWereMeasured(t *testing.T) {
	t.Parallel()
	all := make([]time.Duration, 200)
	for i := range all {
		all[i] = time.Duration(200-i) * time.Millisecond // 1 to 200, backwards
	}
	if got, want := Summarize(all, 500), (Latency{Rate: 500, Events: 200, P50: 100, P99: 198, Max: 200}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := Summarize([]time.Duration{5e6}, 1); got.P50 != 5 || got.P99 != 5 || got.Max != 5 {
		t.Errorf("of one event: %+v", got)
	}
}

func TestOnlyAPositionThatMovedIsNoted(t *testing.T) {
	t.Parallel()
	var l log
	for ms, next := range []int64{0, 0, 3, 3, 2, 7} {
		l.add(1, Seen{at(ms), next})
	}
	l.add(2, Seen{at(9), 4})
	seen, err := l.Seen(t.Context())
	total, _ := l.Total(t.Context())
	if want := []Seen{{at(2), 3}, {at(5), 7}}; !slices.Equal(seen[1], want) || total != 11 || err != nil {
		t.Errorf("%v, %d in all, %v", seen, total, err)
	}
}

func TestCommitsAreReadHoweverTheyArrive(t *testing.T) {
	t.Parallel()
	text := AppendCommit(AppendCommit(nil, 2, 0, at(1)), 2, 1, at(3))
	var c Commits
	for _, b := range text {
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	seen, err := c.Seen(t.Context())
	if want := []Seen{{at(1), 1}, {at(3), 2}}; !slices.Equal(seen[2], want) || err != nil {
		t.Errorf("%v, %v; want %v", seen[2], err, want)
	}
	if _, err := c.Write([]byte("panic: nil\n")); err == nil {
		t.Error("no error for a line that is no commit")
	}
}

func TestEventsLeaveWhenTheyAreDueAndTheirPlaceIsKnown(t *testing.T) {
	t.Parallel()
	const n, rate = 200, 1000
	topic := testenv.Topic(t, 3)
	shape := backlog.Shape{SKUs: 50}
	generator, err := shape.Generator()
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewProducer(testenv.Brokers(t), topic, generator, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	begin := time.Now()
	sent, err := p.Send(t.Context(), n, Steady(begin, rate))
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < (n-1)*time.Second/rate {
		t.Errorf("%d events left within %s, faster than %d a second", n, took, rate)
	}
	load, err := backlog.Read(t.Context(), testenv.Brokers(t), topic, shape)
	if err != nil || load.Books.Records != n {
		t.Fatalf("%+v, %v", load, err)
	}
	places := map[Sent]bool{}
	for _, s := range sent {
		if s.Due.Before(begin) || s.Due.After(begin.Add(n*time.Second/rate)) {
			t.Errorf("due at %s", s.Due)
		}
		places[Sent{Partition: s.Partition, Offset: s.Offset}] = true
	}
	if len(places) != n {
		t.Errorf("%d places for %d events", len(places), n)
	}
}
