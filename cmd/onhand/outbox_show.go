package main

import (
	"context"
	"fmt"
	"time"

	"onhand/internal/cliout"
	"onhand/internal/database"
	"onhand/outbox"
)

// holdupPatience is how long a transaction may be open before show names it.
const holdupPatience = 3 * time.Second

type outboxShowCmd struct {
	databaseFlags
	positionFlags
	Limit string `default:"20" placeholder:"N" help:"Most messages listed that are set aside (${default})."`

	limit int
}

func (outboxShowCmd) Help() string {
	return `Done is the id of the last message that Kafka has for sure, intent the last one that it may have. Messages
behind done wait; counting stops at a million. Kafka's own position is shown when --brokers are given. Transactions that
have been open for more than 3 seconds are listed, of every database of the server, and prepared ones: messages written
after one of them began wait for its end.

Set aside are messages that Kafka refuses, and those of the same key behind them. State waiting is for you: see "onhand
outbox retry" and "onhand outbox drop"; retry and dropped are decided, and carried out by the member that leads.

Examples:

  onhand outbox show
  onhand outbox show --limit 500
  onhand outbox show -o json | jq '.halt_reason, .waiting'`
}

func (c *outboxShowCmd) settings(p *problems) {
	c.databaseFlags.settings(p)
	c.positionFlags.settings(p)
	c.limit = p.number("limit", c.Limit, 0, maxListed)
}

// shownOutbox is what show prints.
type shownOutbox struct {
	outboxState
	Advice string          `json:"advice"` // empty = not halted
	Kafka  *kafkaPosition  `json:"kafka"`  // nil = unknown, or none
	Open   []outbox.Holdup `json:"open_transactions"`
	Listed []shownAside    `json:"aside_messages"`
}

// shownAside is a message that is set aside, as JSON.
type shownAside struct {
	ID       int64       `json:"id"`
	Topic    string      `json:"topic"`
	Key      *shownBytes `json:"key"`
	EventID  string      `json:"event_id"`
	Bytes    int64       `json:"bytes"`
	Reason   string      `json:"reason"`
	Detail   string      `json:"detail"`
	State    string      `json:"state"`
	Attempts int32       `json:"attempts"`
	Since    time.Time   `json:"since"`
}

func showAsides(list []outbox.Aside) []shownAside {
	shown := make([]shownAside, len(list))
	for i, a := range list {
		shown[i] = shownAside{
			a.ID, a.Topic, showBytes(a.Key), a.EventID, a.Bytes, a.Reason, a.Detail, a.State, a.Attempts, a.Since,
		}
	}
	return shown
}

func (c *outboxShowCmd) Run(ctx context.Context, con *console) error {
	pool, err := openDatabase(ctx, &c.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	var shown shownOutbox
	if shown.outboxState, err = readOutbox(ctx, pool); err != nil {
		return err
	}
	if shown.Halted() {
		shown.Advice = advice[*shown.HaltReason]
	}
	if shown.Open, err = outbox.Holdups(ctx, pool, holdupPatience); err != nil {
		return err
	}
	list, err := outbox.ListAsides(ctx, pool, c.limit)
	if err != nil {
		return err
	}
	shown.Listed = showAsides(list)
	if shown.Kafka, err = c.position(ctx, pool, &shown.Standing); err != nil {
		con.say("Kafka's position is unknown: %s", database.Redact(err.Error()))
	}
	return con.out.Print(shown, shown.table)
}

func (s *shownOutbox) table(t *cliout.Grid) {
	r := &s.Standing
	t.Row("done", at(r.Done, &r.DoneTurn))
	t.Row("intent", at(r.Intent, &r.IntentTurn))
	if k := s.Kafka; k != nil {
		t.Row("kafka", fmt.Sprintf("%s, kept for %s/0 of group %s", at(k.ID, k.Turn), k.Topic, k.Group))
	} else {
		t.Row("kafka", "-")
	}
	t.Row("waiting", s.waiting())
	t.Row("oldest", orNull(s.Oldest))
	t.Row("oldest movement", instantOrDash(s.OldestMovement))
	t.Row("its age", s.age())
	t.Row("leader", s.leader())
	t.Row("lease until", instantOrDash(r.LeaseUntil))
	t.Row("waiting for", orDash(r.WaitingFor))
	t.Row("waiting since", instantOrDash(r.WaitingSince))
	t.Row("set aside", s.aside())
	t.Row("state", s.word())
	if r.Halted() {
		t.Row("halt detail", orDash(r.HaltDetail))
		t.Row("halted at", instantOrDash(r.HaltedAt))
		t.Row("what to do", s.Advice)
	}
	if r.Overruled {
		t.Row("decided", "an operator has resumed it; the next relay that leads takes done as it stands")
	}
	s.openTable(t)
	s.asideTable(t)
}

// at is a position with its turn; no turn = set by hand.
func at(id int64, turn *int64) string {
	if turn == nil {
		return fmt.Sprintf("%d (set by hand)", id)
	}
	return fmt.Sprintf("%d (turn %d)", id, *turn)
}

func (s *shownOutbox) openTable(t *cliout.Grid) {
	if len(s.Open) == 0 {
		return
	}
	t.Row()
	t.Row("OPEN SINCE", "PROCESS", "DATABASE", "NAME", "STATE", "QUERY")
	for _, h := range s.Open {
		process := orNull(h.PID)
		if h.Prepared != nil {
			process = "prepared: " + *h.Prepared
		}
		t.Row(instantOrDash(h.Since), process, orDash(h.Database), orDash(h.Application), orDash(h.State), orDash(h.Query))
	}
}

func (s *shownOutbox) asideTable(t *cliout.Grid) {
	if len(s.Aside) == 0 {
		return
	}
	t.Row()
	t.Row("SET ASIDE", "TOPIC", "REASON", "STATE", "SINCE")
	for _, c := range s.Aside {
		t.Row(c.Messages, c.Topic, c.Reason, c.State, instantOrDash(&c.Since))
	}
	if len(s.Listed) == 0 {
		return
	}
	t.Row()
	t.Row("ID", "TOPIC", "KEY", "EVENT", "BYTES", "REASON", "STATE", "TRIED", "SINCE", "DETAIL")
	for _, m := range s.Listed {
		t.Row(m.ID, m.Topic, m.Key.line(), m.EventID, m.Bytes, m.Reason, m.State, m.Attempts, instantOrDash(&m.Since),
			m.Detail)
	}
	if more := s.aside() - int64(len(s.Listed)); more > 0 {
		t.Text("%d more are set aside; --limit lists them.", more)
	}
}
