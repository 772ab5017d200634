package verify_test

import (
	"testing"

	"onhand/internal/verify"
)

const setAside = `insert into outbox_aside (id, topic, event_id, reason, detail)
	values ($1, 't', 'e', 'message_refused', 'too large')`

func act(t *testing.T, p *post, command, before, after string) {
	t.Helper()
	change(t, p.pool, `insert into operator_actions (actor, command, because, before, after)
		values ('me', $1, 'test', $2, $3)`, command, before, after)
}

func TestMessagesThatAreSetAsideAreNotMissed(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	letters := p.letters(t)
	p.send(t, without(letters, 2002, 3003))
	expect(t, p.verify(t), verify.Violation)
	change(t, p.pool, setAside, 2002)
	expectDifference(t, p.verify(t), "message 3003", "version 4")
	change(t, p.pool, setAside, 3003)
	report := p.verify(t)
	expect(t, report, verify.OK)
	if o := report.Outbox; o.Aside != 2 || o.Excused != 2 || o.Messages != 7 {
		t.Errorf("%s", shown(report))
	}
	// Sent again, they are right as well, whether that is noted or not yet.
	p.send(t, []letter{letters[4], letters[8]})
	report = p.verify(t)
	expect(t, report, verify.OK)
	if o := report.Outbox; o.Excused != 0 || o.Messages != 9 {
		t.Errorf("%s", shown(report))
	}
	change(t, p.pool, `delete from outbox_aside`)
	expect(t, p.verify(t), verify.OK)
}

func TestMessagesThatFollowARefusedOneMayComeBeforeIt(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	letters := p.letters(t)
	p.send(t, without(letters, 1003))
	change(t, p.pool, setAside, 1003)
	expect(t, p.verify(t), verify.OK)
	change(t, p.pool, `delete from outbox_aside`)
	p.send(t, letters[2:3])
	expectDifference(t, p.verify(t), "message 1003", "before version 4")
	cfg := p.config()
	cfg.FollowRefused = true
	report := run(t, cfg)
	expect(t, report, verify.OK)
	if report.Outbox.Late != 1 {
		t.Errorf("%s", shown(report))
	}
}

func TestMessagesThatAnOperatorGaveUpAreNotMissed(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	p.send(t, without(p.letters(t), 1001, 2003, 3002))
	act(t, p, "outbox drop 1001", `[{"id": 1001, "key": null}]`, `{"messages": 1, "ids": [1001]}`)
	expect(t, p.verify(t), verify.Violation)
	// What more is told of than the id are the first ones of many.
	act(t, p, "outbox drop --all", `[{"id": 2003}]`, `{"messages": 3, "ids": [2003, 3002, 9001]}`)
	report := p.verify(t)
	expect(t, report, verify.OK)
	if report.Outbox.Excused != 3 {
		t.Errorf("%s", shown(report))
	}
	// One that was given up excuses no other one.
	change(t, p.pool, `delete from operator_actions where after ->> 'messages' = '1'`)
	expectDifference(t, p.verify(t), "message 1001", "version 1")
}

func TestWhereAnOperatorLetTheOutboxGoOnIsNoFault(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	letters := p.letters(t)
	p.send(t, without(letters, 1003, 2001))
	expect(t, p.verify(t), verify.Violation)
	act(t, p, "outbox resume --from kafka", `{"done": 1002, "intent": 2001}`,
		`{"done": 2001, "kafka": {"id": 2001}}`)
	report := p.verify(t)
	expect(t, report, verify.OK)
	if report.Outbox.Excused != 2 {
		t.Errorf("%s", shown(report))
	}

	p.newTopic(t, 2)
	p.send(t, append(letters[:4:4], letters[2:]...))
	expect(t, p.verify(t), verify.Violation)
	act(t, p, "outbox resume --from database", `{"done": 1002}`, `{"done": 1002, "kafka": {"id": 2001}}`)
	report = p.verify(t)
	expect(t, report, verify.OK)
	if report.Outbox.Repeated != 2 {
		t.Errorf("%s", shown(report))
	}
	p.send(t, letters[:1])
	expect(t, p.verify(t), verify.Violation)
}

func TestAHaltedOutboxIsNamed(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	p.send(t, p.letters(t))
	change(t, p.pool, `update outbox_relay set halt_reason = 'kafka_forgot_position', halted_at = now()`)
	report := p.verify(t)
	expect(t, report, verify.OK)
	if report.Outbox.Halted != "kafka_forgot_position" {
		t.Errorf("%s", shown(report))
	}
}
