package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/inbox"
	"onhand/internal/cliout"
	"onhand/internal/database"
	"onhand/internal/deadletter"
	"onhand/internal/explain"
	"onhand/internal/kafkalog"
	"onhand/inventory"
	"onhand/offsets"
)

type explainRecordCmd struct {
	databaseFlags
	brokerFlags
	Topic     string `arg:"" help:"Topic."`
	Partition int32  `arg:"" help:"Partition."`
	Offset    int64  `arg:"" help:"Offset."`
}

func (explainRecordCmd) Help() string {
	return `Parked records are found by where they stood. What was decided is kept by the event's identity, so for any
other record the record itself is read from Kafka: give --brokers.

Examples:

  onhand explain record inventory.events 3 1200
  onhand explain record inventory.events 3 1200 -o json | jq -r .state`
}

func (c *explainRecordCmd) settings(p *problems) {
	c.databaseFlags.settings(p)
	c.brokerFlags.optional(p)
}

// What became of a record, beside the outcomes of its event.
const (
	recordDuplicate   = "duplicate"    // its event was decided from another record
	recordParked      = "parked"       //
	recordUnread      = "unread"       // the position is not behind it
	recordBeforeStart = "before_start" // this reading began behind it
	recordPassed      = "passed"       // the position is behind it; no more is known than detail says
)

// explainedRecord is what explain record prints.
type explainedRecord struct {
	Topic     string              `json:"topic"`
	Partition int32               `json:"partition"`
	Offset    int64               `json:"offset"`
	State     string              `json:"state"`
	Detail    string              `json:"detail"`
	Event     *explain.Event      `json:"event"`       // of its identity; null = none, or not known
	Parked    *deadletter.Summary `json:"dead_letter"` // of this reading or an earlier one
}

func (c *explainRecordCmd) Run(ctx context.Context, con *console) error {
	pool, err := openDatabase(ctx, &c.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	e := explainedRecord{Topic: c.Topic, Partition: c.Partition, Offset: c.Offset}
	row, err := c.position(ctx, pool)
	if err != nil {
		return err
	}
	letter, err := deadletter.Get(ctx, pool, c.Topic, c.Partition, c.Offset, 0)
	switch {
	case err == nil:
		e.Parked = &letter.Summary
	case !errors.Is(err, deadletter.ErrNone):
		return err
	}
	if e.judge(row); e.State == recordPassed {
		if err := c.identify(ctx, pool, &e); err != nil {
			return err
		}
	}
	return con.out.Print(e, e.table)
}

// position is the row of the record's partition.
func (c *explainRecordCmd) position(ctx context.Context, pool *pgxpool.Pool) (*offsets.Row, error) {
	rows, err := offsets.List(ctx, pool)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if rows[i].Topic == c.Topic && rows[i].Partition == c.Partition {
			return &rows[i], nil
		}
	}
	return nil, errNoPosition
}

// judge says what the position and a dead letter tell.
func (e *explainedRecord) judge(row *offsets.Row) {
	switch {
	case e.Offset < row.Start:
		e.State, e.Detail = recordBeforeStart, fmt.Sprintf("incarnation %d began at %d", row.Incarnation, row.Start)
	case e.Offset >= row.Next && row.Halted():
		e.State, e.Detail = recordUnread, fmt.Sprintf("the partition is halted at %d: %s", row.Next, *row.HaltReason)
	case e.Offset >= row.Next:
		e.State, e.Detail = recordUnread, fmt.Sprintf("the partition is read up to %d", row.Next)
	case e.Parked != nil && e.Parked.Incarnation == row.Incarnation:
		e.State, e.Detail = recordParked, e.Parked.Reason
	default:
		e.State = recordPassed
	}
}

// identify reads the record from its topic and looks its event up.
func (c *explainRecordCmd) identify(ctx context.Context, pool *pgxpool.Pool, e *explainedRecord) error {
	event, why, err := c.read(ctx)
	if err != nil {
		e.Detail = "whose event it is is unknown: " + database.Redact(err.Error())
		return nil
	}
	if event == nil {
		e.Detail = why
		return nil
	}
	return explain.Read(ctx, pool, func(tx pgx.Tx) error {
		found, _, err := explain.Events(ctx, tx, event.Tenant, event.ID, &event.Source)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			e.Detail = fmt.Sprintf("the inbox does not know its event %q of %s: it is forgotten, or the offset was jumped over",
				event.ID, tenantWord(event.Tenant))
			return nil
		}
		e.Event = &found[0]
		if at := e.Event.Position; at.Topic != e.Topic || at.Partition != e.Partition || at.Offset != e.Offset {
			e.State, e.Detail = recordDuplicate, "its event was decided from "+at.String()
		} else {
			e.State, e.Detail = e.Event.Outcome, e.Event.Reason
		}
		return nil
	})
}

// read returns the event of the record, or why there is none.
func (c *explainRecordCmd) read(ctx context.Context) (event *inbox.Event, why string, err error) {
	if len(c.Brokers) == 0 {
		return nil, "", errKafkaNotNamed
	}
	client, reader, err := openKafka(ctx, c.Brokers)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, rangesTimeout)
	defer cancel()
	why = "no record can be seen there: it is a transaction's marker, or of an aborted one, or was removed"
	tp := kafkalog.TopicPartition{Topic: c.Topic, Partition: c.Partition}
	// What was read under a larger --max-record-bytes than the default is an event too.
	decoder := inventory.NewDecoder(inventory.DecoderConfig{MaxRecordBytes: math.MaxInt})
	err = reader.Scan(ctx, tp, c.Offset, c.Offset+1, func(m *sarama.ConsumerMessage) error {
		e, err := decoder.Decode(asRecord(m))
		var refusal *inbox.Refusal
		switch {
		case err == nil:
			event = &e
		case errors.As(err, &refusal):
			why = "it cannot be read (" + refusal.Code + "), and is not among the dead letters: its kind is ignored, the " +
				"offset was jumped over, or the dead letter was removed"
		default:
			return err
		}
		return nil
	})
	if errors.Is(err, sarama.ErrOffsetOutOfRange) {
		err = nil
	}
	return event, why, err
}

// asRecord is m as a decoder takes it. It aliases m.
func asRecord(m *sarama.ConsumerMessage) *inbox.Record {
	r := &inbox.Record{
		Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Key: m.Key, Value: m.Value, Timestamp: m.Timestamp,
	}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, inbox.Header{Key: h.Key, Value: h.Value})
	}
	return r
}

func (e *explainedRecord) table(t *cliout.Grid) {
	t.Row("record", fmt.Sprintf("%s/%d offset %d", e.Topic, e.Partition, e.Offset))
	t.Row("state", e.State)
	if e.Detail != "" {
		t.Row("detail", e.Detail)
	}
	if e.Parked != nil {
		t.Row("dead letter", fmt.Sprintf("of incarnation %d: %s %s", e.Parked.Incarnation, e.Parked.Reason, e.Parked.Detail))
	}
	if e.Event != nil {
		t.Row()
		eventTable(t, e.Event)
	}
}
