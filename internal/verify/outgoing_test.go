package verify_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"onhand/internal/testenv"
	"onhand/internal/verify"
)

func TestMessagesThatHaveAllLeftAreFoundRight(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	letters := p.letters(t)
	p.send(t, letters[:4])
	p.transact(t, letters, false)
	p.send(t, letters[4:])
	report := p.verify(t)
	expect(t, report, verify.OK)
	if o := report.Outbox; o.Messages != 9 || o.Published != 3003 || o.Waiting != 0 || o.Ahead != 0 ||
		len(o.Partitions) != 2 || o.Partitions[0].Messages != 6 || o.Partitions[1].Messages != 3 {
		t.Errorf("%s", shown(report))
	}
	if len(report.Partitions) != 0 {
		t.Error("incoming topics were judged too")
	}
	cfg := p.config()
	cfg.OutboxOnly, cfg.Outbox = false, true
	// The inbox knows nothing of these events.
	if report := run(t, cfg); report.Found == 0 || report.Outbox == nil || report.Outbox.Verdict != verify.OK {
		t.Errorf("%s", shown(report))
	}
}

func TestMessagesThatHaveNotLeftYetAreNotMissed(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	letters := p.letters(t)
	p.send(t, letters[:7])
	// The relay has published seven, and has stored that it has five.
	change(t, p.pool, `update outbox_relay set done = 2002`)
	report := p.verify(t)
	expect(t, report, verify.OK)
	if o := report.Outbox; o.Messages != 7 || o.Ahead != 2 || o.Waiting != 2 {
		t.Errorf("%s", shown(report))
	}
	change(t, p.pool, `update outbox_relay set done = 3002`)
	expect(t, p.verify(t), verify.Violation)
}

func TestRecordsOfOthersAndOtherMessagesAreCountedAlone(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	letters := p.letters(t)
	stranger := letters[0].with(func(l *letter) { l.headers[3].Value = []byte("urn:uuid:" + uuid.NewString()) })
	bare := letters[1].with(func(l *letter) { l.headers = nil })
	other := letters[2].with(func(l *letter) { l.headers[2].Value = []byte("order.placed") })
	p.send(t, append([]letter{stranger, bare, other, {}}, letters...))
	report := p.verify(t)
	expect(t, report, verify.OK)
	if o := report.Outbox.Partitions; o[0].Foreign != 2 || o[0].Other != 1 || o[1].Foreign != 1 ||
		report.Outbox.Messages != 9 {
		t.Errorf("%s", shown(report))
	}
}

func TestAnOutgoingTopicThatDoesNotExistIsRightUntilSomethingHasLeft(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	change(t, p.pool, `update installation set outbox_topic = 'gone-' || outbox_topic`)
	expect(t, p.verify(t), verify.Untold)
	change(t, p.pool, `update outbox_relay set done = 0`)
	report := p.verify(t)
	expect(t, report, verify.OK)
	if report.Outbox.Waiting != 9 {
		t.Errorf("%s", shown(report))
	}
	change(t, p.pool, `delete from installation`)
	expect(t, p.verify(t), verify.OK)
}

func TestWhatRetentionRemovedFromTheOutgoingTopicCannotBeProved(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	letters := p.letters(t)
	p.send(t, letters)
	p.deleteRecords(t, 0, 2) // versions 1 and 2 of A at main
	report := p.verify(t)
	expect(t, report, verify.Untold)
	if o := report.Outbox; o.Unproven != 2 || o.Messages != 7 || o.Partitions[1].Verdict != verify.OK {
		t.Errorf("%s", shown(report))
	}
	expect(t, p.verifyFromLogStart(t), verify.OK)

	p.deleteRecords(t, 1, 3) // all of B
	report = p.verifyFromLogStart(t)
	expect(t, report, verify.OK)
	if o := report.Outbox; o.Unproven != 5 || o.Messages != 4 {
		t.Errorf("%s", shown(report))
	}

	// Behind what is left there is no excuse.
	p.newTopic(t, 2)
	p.send(t, without(letters, 2002))
	p.deleteRecords(t, 0, 1)
	expectDifference(t, p.verifyFromLogStart(t), "message 2002", "version 3")
}

func TestATransactionThatStaysOpenHidesWhatComesAfter(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	letters := p.letters(t)
	p.send(t, letters[:4])
	open := producer(t, "verify-"+uuid.NewString())
	if err := open.BeginTxn(); err != nil {
		t.Fatal(err)
	}
	p.write(t, open, letters[:1])
	p.transact(t, letters[4:], true)
	cfg := p.config()
	cfg.Patience = 300 * time.Millisecond
	report := run(t, cfg)
	expect(t, report, verify.Untold)
	if o := report.Outbox.Partitions; o[0].Verdict != verify.Untold || o[1].Verdict != verify.OK {
		t.Errorf("%s", shown(report))
	}

	// One that ends in time is waited for.
	v, err := verify.Begin(t.Context(), p.config())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	ended := make(chan error, 1)
	time.AfterFunc(500*time.Millisecond, func() { ended <- open.AbortTxn() })
	report, err = v.Run(t.Context())
	if err := errors.Join(err, <-ended); err != nil {
		t.Fatal(err)
	}
	expect(t, report, verify.OK)
}

func TestACompactedTopicMayLackAnything(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	compact := "compact"
	p.topic = testenv.TopicWith(t, 2, map[string]*string{"cleanup.policy": &compact})
	change(t, p.pool, `update installation set outbox_topic = $1`, p.topic)
	letters := p.letters(t)
	p.send(t, without(letters, 1003, 3002, 2001, 3001))
	report := p.verify(t)
	expect(t, report, verify.Untold)
	if report.Outbox.Unproven != 4 {
		t.Errorf("%s", shown(report))
	}
	p.send(t, letters[:1])
	expect(t, p.verify(t), verify.Violation)
}

func TestMessagesMayLieInFormerTopics(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	letters, former := p.letters(t), p.topic
	p.send(t, letters[:5])
	p.newTopic(t, 1)
	for i := range letters {
		letters[i].partition = 0
	}
	p.send(t, letters[5:])
	expect(t, p.verify(t), verify.Violation)
	cfg := p.config()
	cfg.FormerTopics = []string{former}
	report := run(t, cfg)
	expect(t, report, verify.OK)
	if report.Outbox.Messages != 9 || len(report.Outbox.Partitions) != 3 {
		t.Errorf("%s", shown(report))
	}
	p.send(t, letters[:1])
	expect(t, run(t, cfg), verify.Violation)
}

func TestMessagesOfAFormerIdentityCount(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	letters := p.letters(t)
	p.send(t, letters[:4])
	change(t, p.pool, `update installation set id = gen_random_uuid()`)
	p.send(t, p.letters(t)[4:])
	expect(t, p.verify(t), verify.Violation)
	change(t, p.pool, `insert into operator_actions (actor, command, because, before, after)
		values ('me', 'adopt --group g', 'moved', jsonb_build_object('id', $1::text), '{}')`, p.id.String())
	expect(t, p.verify(t), verify.OK)

	// The original goes on under the old identity, with the ids that its copy draws too.
	p.send(t, []letter{
		letters[5].with(func(l *letter) { l.value = []byte(`{}`) }),
		letters[5].with(func(l *letter) { l.headers[4].Value = []byte("4001") }),
	})
	report := p.verify(t)
	expect(t, report, verify.OK)
	if report.Outbox.Partitions[1].Foreign != 2 {
		t.Errorf("%s", shown(report))
	}
}

func TestMovementsThatAreArchivedOrRemovedHaveMessagesStill(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	letters := p.letters(t)
	p.send(t, letters)
	p.archive(t)
	report := p.verify(t)
	expect(t, report, verify.OK)
	if report.Ledger.Archived != 8 || report.Outbox.Removed != 0 {
		t.Errorf("%s", shown(report))
	}
	testenv.EmptyArchive(t, p.pool, "true")
	report = p.verify(t)
	expect(t, report, verify.OK)
	if report.Outbox.Removed != 8 || report.Outbox.Messages != 9 {
		t.Errorf("%s", shown(report))
	}
	// A message that no movement ever had, and one once more.
	p.send(t, []letter{letters[8].with(func(l *letter) {
		l.headers[4].Value, l.value = []byte("3004"), []byte(`{"sku":"A","location":"main","version":5}`)
	})})
	expectDifference(t, p.verify(t), "message 3004", "no message")
	p.send(t, letters[:1])
	expectDifference(t, p.verify(t), "message 1001", "once")
}

func TestOfRemovedMovementsWhoseMessagesAreNotThereNobodyKnows(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	p.send(t, without(p.letters(t), 1002, 2003, 3002, 3001))
	p.archive(t)
	testenv.EmptyArchive(t, p.pool, "true")
	report := p.verify(t)
	expect(t, report, verify.Untold)
	if report.Outbox.Unproven != 4 {
		t.Errorf("%s", shown(report))
	}
}
