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
	d.divide(1<<20, 4)
	for _, tp := range []offsets.TopicPartition{
		{Topic: "b", Partition: 0}, {Topic: "a", Partition: 10}, {Topic: "a", Partition: 9},
	} {
		c := &claim{session: s, TopicPartition: tp}
		c.put(t.Context(), d, []*work{{record: Record{Topic: tp.Topic, Partition: tp.Partition}}})
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
