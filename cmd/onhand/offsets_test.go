package main

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"onhand/offsets"
)

func TestOffsetsShowTellsEverythingAboutAPartition(t *testing.T) {
	t.Parallel()
	s := newStored(t)
	s.halt(offsets.HaltParkedStorm)
	show := func(args ...string) ended {
		return command(t, append([]string{"offsets", "show", "--database-url", s.url}, args...)...)
	}
	show().expect(t, exitDone, s.topic, "HALTED", "parked_storm", "for a test")
	show(s.topic, "0").expect(t, exitDone, "of these parked  2")
	rows := decoded[[]map[string]any](t, show(s.topic, "-o", "json"))
	if len(rows) != 1 || rows[0]["next"] != 4.0 || rows[0]["storm_seen"] != 3.0 ||
		rows[0]["halt_reason"] != "parked_storm" {
		t.Errorf("%v", rows)
	}
	show(s.topic, "7").expect(t, exitFailed, "no position is stored")
	show("other").expect(t, exitFailed, "no position is stored")
}

func TestResumeLetsAHaltedPartitionGoOnWhereItStopped(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{
		offsets.HaltParkedStorm, offsets.HaltConstraintViolated, offsets.HaltTopicCompacted,
		offsets.HaltBelowLogStart, offsets.HaltBeyondLogEnd, // the log has the position again
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := newStored(t)
			s.halt(reason)
			s.as("resume", s.topic, "0").expect(t, exitDone, reason)
			s.expectRow("incarnation 1, 0 to 4, applied 4, jumped 0, running, window 0, hash 99")
			s.expectAction("offsets resume " + s.topic + " 0: 1/4 to 1/4")
		})
	}
}

func TestResumeBeginsANewIncarnationOnALogThatIsAnotherOne(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{offsets.HaltTopicRecreated, offsets.HaltLogRegrown} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := newStored(t)
			execute(t, s.pool, `update offsets set topic_id = $1, token = $1, owner = 'm'`, uuid.New())
			s.halt(reason)
			deleteRecords(t, s.topic, 2)
			command(t, "offsets", "resume", s.topic, "0", "--database-url", s.url, "--because", "x").
				expect(t, exitUsage, "--brokers")
			s.as("resume", s.topic, "0").expect(t, exitDone)
			s.expectRow("incarnation 2, 2 to 2, applied 0, jumped 0, running, window 0, hash 0")
			s.expectAction("offsets resume " + s.topic + " 0: 1/4 to 2/2")
			id := query[uuid.UUID](t, s.pool, `select topic_id from offsets where token is null and owner is null`)
			if id != topicID(t, s.topic) {
				t.Errorf("the row is about topic %s", id)
			}
		})
	}
}

func TestResumeIsRefusedWhereItWouldStopAgain(t *testing.T) {
	t.Parallel()
	s := newStored(t)
	s.as("resume", s.topic, "0").expect(t, exitRefused, "is not halted")
	s.halt(offsets.HaltBelowLogStart)
	deleteRecords(t, s.topic, 6)
	s.as("resume", s.topic, "0").
		expect(t, exitRefused, "next is 4 and the log has 6 to 10", "offsets set "+s.topic+" 0 oldest")
	execute(t, s.pool, `update offsets set next = 11, applied = 11, halt_reason = 'beyond_log_end'`)
	s.as("resume", s.topic, "0").expect(t, exitRefused, "next is 11")
	s.as("resume", s.topic, "1").expect(t, exitFailed)
	s.expectNoAction()
}

func TestSetForwardJumps(t *testing.T) {
	t.Parallel()
	s := newStored(t)
	s.halt(offsets.HaltBelowLogStart)
	deleteRecords(t, s.topic, 6)
	s.as("set", s.topic, "0", "oldest").expect(t, exitDone)
	s.expectRow("incarnation 1, 0 to 6, applied 4, jumped 2, running, window 0, hash 0")
	s.expectAction("offsets set " + s.topic + " 0 oldest: 1/4 to 1/6")
}

func TestSetNewestJumpsToTheEnd(t *testing.T) {
	t.Parallel()
	s := newStored(t)
	s.as("set", s.topic, "0", "newest").expect(t, exitDone)
	s.expectRow("incarnation 1, 0 to 10, applied 4, jumped 6, running, window 0, hash 0")
}

func TestSetBackwardBeginsANewIncarnation(t *testing.T) {
	t.Parallel()
	s := newStored(t)
	s.as("set", s.topic, "0", "1").expect(t, exitDone)
	s.expectRow("incarnation 2, 1 to 1, applied 0, jumped 0, running, window 0, hash 0")
	s.expectAction("offsets set " + s.topic + " 0 1: 1/4 to 2/1")
	if id := query[uuid.UUID](t, s.pool, `select topic_id from offsets`); id != topicID(t, s.topic) {
		t.Errorf("the row is about topic %s", id)
	}
}

func TestSetOnALogThatIsAnotherOneNeverCountsAsAJump(t *testing.T) {
	t.Parallel()
	s := newStored(t)
	execute(t, s.pool, `update offsets set topic_id = $1`, uuid.New())
	s.halt(offsets.HaltTopicRecreated)
	s.as("set", s.topic, "0", "8").expect(t, exitDone)
	s.expectRow("incarnation 2, 8 to 8, applied 0, jumped 0, running, window 0, hash 0")
}

func TestSetStaysWithinTheLogUnlessForced(t *testing.T) {
	t.Parallel()
	s := newStored(t)
	s.as("set", s.topic, "0", "11").expect(t, exitRefused, "outside the log, which has 0 to 10")
	s.expectNoAction()
	s.as("set", s.topic, "0", "11", "--force").expect(t, exitDone)
	s.expectAction("offsets set " + s.topic + " 0 11 --force: 1/4 to 1/11")
	withoutBrokers := func(where string) ended {
		return command(t, "offsets", "set", s.topic, "0", where, "--database-url", s.url, "--because", "x")
	}
	withoutBrokers("2").expect(t, exitDone)
	withoutBrokers("oldest").expect(t, exitUsage, "--brokers")
}

func TestSetDoesNotMoveAPositionUnderAMemberAtWork(t *testing.T) {
	t.Parallel()
	s := newStored(t)
	member := "at-work-" + strings.ReplaceAll(t.Name(), "/", "-")
	cfg, err := pgx.ParseConfig(s.url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.RuntimeParams["application_name"] = offsets.ApplicationName(member)
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	name := offsets.TopicPartition{Topic: s.topic}
	claimed, err := offsets.Claim(t.Context(), s.pool, []offsets.TopicPartition{name}, member)
	if err != nil {
		t.Fatal(err)
	}

	s.as("set", s.topic, "0", "6").expect(t, exitRefused, "member "+member+" is at work", "--force")
	s.expectNoAction()
	s.as("set", s.topic, "0", "6", "--force").expect(t, exitDone)
	s.expectRow("incarnation 1, 0 to 6, applied 4, jumped 2, running, window 0, hash 0")
	believed := []offsets.Expected{{TopicPartition: name, Token: claimed[0].Token, Next: 6}}
	if standing, err := offsets.Read(t.Context(), s.pool, believed); err != nil || standing[0].Ours {
		t.Errorf("the member still holds the partition: %+v, %v", standing, err)
	}

	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A halted one may be moved at any time, and one whose member is gone as well.
	execute(t, s.pool, `update offsets set owner = $1`, member)
	s.as("set", s.topic, "0", "7").expect(t, exitDone)
}
