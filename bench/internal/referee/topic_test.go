package referee

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"onhand/internal/testenv"
)

const threeMovements = `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id)
values ('', 'A', 'main', 1, 5, 5, 'stock.received', 'e1', 's', 1),
       ('', 'B', 'main', 1, 7, 7, 'stock.received', 'e2', 's', 2),
       ('', 'A', 'main', 2, -2, 3, 'stock.sold', 'e3', 's', 1001),
       ('', 'C', 'main', 1, 1, 1, 'stock.received', 'e4', 's', null)`

const oneBeside = `
insert into outbox_messages (id, slot, key, event_id, payload, type) values (1002, 0, 'A', 'e5', '{"on_hand":3}', 'stock.low')`

// beside is a record that is about no movement.
func beside(id int64, key, value string) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{
		Key: sarama.StringEncoder(key), Value: sarama.StringEncoder(value),
		Headers: []sarama.RecordHeader{{Key: []byte("ce_id"), Value: []byte(strconv.FormatInt(id, 10))}},
	}
}

// told is a record about a movement.
func told(id int64, key, sku string, version, delta, onHand int64) *sarama.ProducerMessage {
	value := fmt.Sprintf(`{"sku":%q,"location":"main","on_hand":%d,"version":%d,"follows":%d,"delta":%d}`,
		sku, onHand, version, version-1, delta)
	return beside(id, key, value)
}

func TestEveryWrongMessageIsNoticed(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{threeMovements, oneBeside} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	a1, a2, b1 := told(1, "A", "A", 1, 5, 5), told(1001, "A", "A", 2, -2, 3), told(2, "B", "B", 1, 7, 7)
	low := beside(1002, "A", `{"on_hand":3}`)
	type records = []*sarama.ProducerMessage
	for _, tt := range []struct {
		name               string
		committed, aborted records
		fault              string // part of one; empty = none
	}{
		{"nothing is wrong", records{a1, b1, a2, low}, nil, ""},
		{"nothing that anybody sees is wrong", records{b1, low, a1, a2}, records{b1, a2, low}, ""},
		{"a lost message", records{a1, b1, low}, nil, "1 of 4 messages are not in the outgoing topic"},
		{"a message that was not committed", records{a1, b1, low}, records{a2}, "1 of 4 messages are not"},
		{"a message twice", records{a1, b1, b1, a2, low}, nil, "message 2 is there twice"},
		{"a wrong order", records{a2, b1, a1, low}, nil, "version 2 of A came after 0"},
		{"a ghost", records{a1, b1, a2, low, told(3, "C", "C", 1, 1, 1)}, nil, "message 3 is about no movement"},
		{"another stock", records{a1, b1, told(1001, "A", "A", 2, -2, 4), low}, nil, "message 1001 with key A says"},
		{"another key", records{told(1, "B", "A", 1, 5, 5), b1, a2, low}, nil, "message 1 with key B says"},
		{"no id", records{a1, b1, a2, low, {Value: sarama.StringEncoder("{}")}}, nil, "has no id"},
		{"one beside the ledger lost", records{a1, b1, a2}, nil, "1 of 4 messages are not in the outgoing topic"},
		{"one beside the ledger twice", records{a1, b1, a2, low, low}, nil, "message 1002 is there twice"},
		{"one beside the ledger is another", records{a1, b1, a2, beside(1002, "A", "{}")}, nil, "message 1002 with key A says {}"},
		{"one beside it has another key", records{a1, b1, a2, beside(1002, "B", `{"on_hand":3}`)}, nil, "message 1002 with key B"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			brokers, topic := testenv.Brokers(t), testenv.Topic(t, 1)
			transact(t, brokers, topic, tt.committed, true)
			transact(t, brokers, topic, tt.aborted, false)
			faults, err := CheckTopic(t.Context(), brokers, topic, url)
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(faults, "\n")
			if (tt.fault == "") != (all == "") || !strings.Contains(all, tt.fault) {
				t.Errorf("faults %q, want %q", all, tt.fault)
			}
		})
	}
}

// transact sends records in one transaction, which it commits or aborts.
func transact(t *testing.T, brokers []string, topic string, records []*sarama.ProducerMessage, commit bool) {
	t.Helper()
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.Producer.Idempotent, c.Net.MaxOpenRequests, c.Producer.RequiredAcks = true, 1, sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Producer.Transaction.ID = topic
	producer, err := sarama.NewSyncProducer(brokers, c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close() }()
	if err := producer.BeginTxn(); err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		sent := *r
		sent.Topic = topic
		if _, _, err := producer.SendMessage(&sent); err != nil {
			t.Fatal(err)
		}
	}
	end := producer.AbortTxn
	if commit {
		end = producer.CommitTxn
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
}
