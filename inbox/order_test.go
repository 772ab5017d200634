package inbox

import (
	"slices"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"

	"onhand/offsets"
)

func TestABatchIsInTheOrderOfItsPartitionsWhoeverWasReadyFirst(t *testing.T) {
	t.Parallel()
	d := newDispatcher(10, 1<<20)
	s := &session{member: &member{dispatcher: d}, over: make(chan struct{})}
	d.divide(1<<20, nil)
	for _, tp := range []offsets.TopicPartition{
		{Topic: "b", Partition: 0}, {Topic: "a", Partition: 10}, {Topic: "a", Partition: 9},
	} {
		c := &claim{session: s, TopicPartition: tp}
		c.put(d, []*work{{record: Record{Topic: tp.Topic, Partition: tp.Partition}}})
	}
	var got []string
	for _, p := range d.take().parts {
		got = append(got, p.claim.name())
	}
	if want := []string{"a/9", "a/10", "b/0"}; !slices.Equal(got, want) {
		t.Errorf("the batch is %v, want %v", got, want)
	}
}

func TestIdentitiesAreStoredInTheOrderOfTheirKey(t *testing.T) {
	t.Parallel()
	var fresh []*work
	for _, i := range []int{2, 0, 3, 1} {
		fresh = append(fresh, &work{item: Item{Event: Event{Tenant: "t", ID: strconv.Itoa(i)}}})
	}
	q := &pgx.Batch{}
	(&transaction{batch: &batch{}}).writeInbox(q, fresh)
	if ids, ok := q.QueuedQueries[0].Arguments[1].([]string); !ok || !slices.IsSorted(ids) {
		t.Errorf("two batches with the same new identities could wait for each other: %v", ids)
	}
	if fresh[0].item.ID != "2" {
		t.Error("the records themselves are out of order now")
	}
}

func TestARecordThatTheClientGivesTwiceIsTakenOnce(t *testing.T) {
	t.Parallel()
	d := newDispatcher(10, 1<<20)
	d.divide(1<<20, nil)
	c := &claim{session: &session{member: &member{dispatcher: d}, over: make(chan struct{})}, next: 5, read: 5}
	for _, offset := range []int64{4, 5, 6, 5, 6, 7} {
		c.put(d, []*work{{record: Record{Offset: offset}}})
	}
	var got []int64
	for _, w := range d.take().parts[0].works {
		got = append(got, w.record.Offset)
	}
	if want := []int64{5, 6, 7}; !slices.Equal(got, want) {
		t.Errorf("taken %v, want %v", got, want)
	}
}

func TestAPositionIsMovedOverTheInvisibleOnlyFromWhereItWasLookedFor(t *testing.T) {
	t.Parallel()
	d := newDispatcher(10, 1<<20)
	s := &session{member: &member{dispatcher: d}, over: make(chan struct{})}
	c := &claim{session: s, next: 7, read: 7}
	s.apart(c, 5, func(p *part) { p.passTo = 9 }) // looked at from 5, but a batch has moved on since
	if c.next != 7 || !c.idle() {
		t.Errorf("the claim stands at %d, idle %v; want 7 and idle", c.next, c.idle())
	}
}
