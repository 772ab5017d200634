package outbox

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"onhand/internal/kafkalog"
)

// published makes a world whose relay has published some messages and ended in order; where it ended is returned.
func published(t *testing.T) (*world, place) {
	t.Helper()
	w := newWorld(t)
	_, stop := w.start(w.config("first"))
	w.append("a", "b")
	w.awaitAll()
	w.append("a", "c", "c")
	w.awaitAll()
	stop()
	return w, w.row().done
}

// interrupted makes a world whose relay was killed at a step, with its intent stored.
func interrupted(t *testing.T, at step) *world {
	t.Helper()
	w := newWorld(t)
	o := w.orders("victim")
	o.At, o.Times = at, 3
	victim := w.spawn(o)
	victim.awaitStep()
	w.eventually("it is dead", victim.ended)
	w.expire()
	if r := w.row(); r.done == r.intent {
		t.Fatalf("done is intent: %v", r.done)
	}
	return w
}

// forget makes Kafka forget the relay's position.
func (w *world) forget() {
	w.t.Helper()
	admin, err := sarama.NewClusterAdmin(w.brokers, kafkalog.Config("operator", 10*time.Second))
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	w.eventually("the group is deleted", func() bool {
		err := admin.DeleteConsumerGroup(ProducerID(w.install))
		return err == nil || errors.Is(err, sarama.ErrGroupIDNotFound)
	})
	if p := w.position(); p != nil {
		w.t.Fatalf("Kafka still has %v", *p)
	}
}

// setPosition sets Kafka's position as an operator does, whose tools know no metadata, or as a Kafka that was restored.
func (w *world) setPosition(id int64, metadata string) {
	w.t.Helper()
	manager, err := sarama.NewOffsetManagerFromClient(ProducerID(w.install), w.client)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = manager.Close() }()
	partition, err := manager.ManagePartition(w.topic, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	partition.MarkOffset(id, metadata) // moves it forward only, and the other one back only
	partition.ResetOffset(id, metadata)
	manager.Commit()
	if err := partition.Close(); err != nil {
		w.t.Fatal(err)
	}
	if p := w.position(); p == nil || p.id != id {
		w.t.Fatalf("Kafka has %v, want %d", p, id)
	}
}

// haltsFor runs a relay, and another one after it: both must stand still for reason, with nothing published.
func (w *world) haltsFor(reason string) {
	w.t.Helper()
	before := w.visible()
	w.append("a", "b", "late")
	for _, member := range []string{"second", "third"} {
		r, stop := w.start(w.config(member))
		w.eventually("the outbox is halted", func() bool { return w.row().halt != "" && !r.State().Leading })
		w.stays("it stands still", 3*leasePause/2, func() bool {
			return w.row().halt == reason && !r.State().Leading && w.visible() == before
		})
		stop()
	}
	if r := w.row(); r.owner != "" {
		w.t.Errorf("%q holds the lease of a halted outbox", r.owner)
	}
}

// resume is what an operator does who knows that messages up to id are out.
func (w *world) resume(id int64) {
	w.t.Helper()
	w.exec(`
update outbox_relay
set done = $1, intent = $1, overruled = true, halt_reason = null, halt_detail = null, halted_at = null`, id)
}

func (w *world) goesOn() {
	w.t.Helper()
	w.start(w.config("last"))
	w.awaitAll()
	w.append("a", "b", "later")
	w.awaitAll()
	if r, p := w.row(), w.position(); r.overruled || r.halt != "" || p == nil || *p != r.done {
		w.t.Errorf("the row says %+v, Kafka %v", r, p)
	}
}

func TestKafkasPositionIsDoneAndTheRelayGoesOn(t *testing.T) {
	t.Parallel()
	w, at := published(t)
	if p := w.position(); p == nil || *p != at {
		t.Fatalf("Kafka has %v, the row %v", p, at)
	}
	w.goesOn()
}

func TestKafkasPositionIsDoneBelowAnIntentAndTheRelayGoesOn(t *testing.T) {
	t.Parallel()
	w := interrupted(t, stepIntended)
	if r, p := w.row(), w.position(); p == nil || *p != r.done {
		t.Fatalf("Kafka has %v, the row %+v", p, r)
	}
	w.goesOn()
}

func TestKafkasPositionIsTheIntentAndTheRelayGoesOn(t *testing.T) {
	t.Parallel()
	w := interrupted(t, stepCommitted)
	if r, p := w.row(), w.position(); p == nil || *p != r.intent {
		t.Fatalf("Kafka has %v, the row %+v", p, r)
	}
	w.goesOn()
}

func TestADatabaseThatHasLostCommitsHaltsTheOutboxUntilAnOperatorDecides(t *testing.T) {
	t.Parallel()
	w, at := published(t)
	w.exec(`update outbox_relay set done = 0, intent = 0, done_turn = 0, intent_turn = 0`)
	w.haltsFor(HaltDatabaseLost)
	w.resume(at.id)
	w.goesOn()
}

func TestAnotherTurnThatEndsAtTheSameMessageHaltsTheOutbox(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"a later one":       `update outbox_relay set done_turn = done_turn - 1, intent_turn = intent_turn - 1`,
		"of another copy's": `update outbox_relay set done_by = gen_random_uuid(), intent_by = null`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, at := published(t)
			w.exec(sql)
			w.exec(`update outbox_relay set intent_by = done_by`)
			w.haltsFor(HaltDatabaseLost)
			w.resume(at.id)
			w.goesOn()
		})
	}
}

func TestAPositionThatKafkaForgotIsCommittedAgainIfNothingWasUnderWay(t *testing.T) {
	t.Parallel()
	w, at := published(t)
	w.forget()
	w.start(w.config("second"))
	w.eventually("Kafka has it again", func() bool { p := w.position(); return p != nil && *p == at })
	w.goesOn()
}

func TestAPositionThatKafkaForgotHaltsTheOutboxIfATransactionWasUnderWay(t *testing.T) {
	t.Parallel()
	for _, at := range []step{stepIntended, stepCommitted} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			w := interrupted(t, at)
			w.forget()
			w.haltsFor(HaltKafkaForgot)
			// The operator looks into the topic, and sees whether they are there.
			known := w.row().done.id
			if at == stepCommitted {
				known = w.row().intent.id
			}
			w.resume(known)
			w.goesOn()
		})
	}
}

func TestAPositionThatKafkaHasSetBackHaltsTheOutbox(t *testing.T) {
	t.Parallel()
	for name, metadata := range map[string]func(w *world) string{
		"by hand": func(*world) string { return "" },
		"as of a restored Kafka": func(w *world) string {
			return place{1, 1, uuid.New()}.metadata(w.install)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, at := published(t)
			w.setPosition(1, metadata(w))
			w.haltsFor(HaltKafkaBehind)
			w.resume(at.id)
			w.goesOn()
		})
	}
}

// The halt comes first: it is for a person to find out how the position got there.
func TestAPositionTooFarAheadToDrawUpToHaltsTheOutboxAndSaysSo(t *testing.T) {
	t.Parallel()
	w, _ := published(t)
	w.setPosition(1<<60, place{1 << 60, 99, uuid.New()}.metadata(w.install))
	w.haltsFor(HaltDatabaseLost)
	var detail string
	w.scan([]any{&detail}, `select halt_detail from outbox_relay`)
	if !strings.Contains(detail, "new messages may have ids that Kafka has had") || !strings.Contains(detail, "setval") {
		t.Errorf("it says %q", detail)
	}
}

func TestAnOperatorWhoSetsTheOutboxBackHasMessagesSentAgain(t *testing.T) {
	t.Parallel()
	w, _ := published(t)
	n := w.visible()
	w.resume(0)
	w.start(w.config("second"))
	w.eventually("all are there twice", func() bool { return w.visible() == 2*n })
	w.stays("not more than that", time.Second, func() bool { return w.visible() == 2*n })
	if r, p := w.row(), w.position(); r.overruled || p == nil || *p != r.done || r.done.id != w.lastID() {
		t.Errorf("the row says %+v, Kafka %v", r, p)
	}
}
