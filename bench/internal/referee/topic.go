package referee

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"onhand/internal/kafkalog"
)

// brokerPatience is how long a broker may take to answer.
const brokerPatience = 15 * time.Second

// CheckTopic reads what a reader of committed records finds in topic, and compares it with the database: a message for
// each movement that is one, once, in the order of its versions, and saying what the ledger does; and each message that
// was written beside the ledger, once, as it was written. What it returns is empty if all is right. It waits for nothing but the ends of transactions of which Kafka has said that they are
// committed: everything must be published before.
func CheckTopic(ctx context.Context, brokers []string, topic, databaseURL string) (faults []string, err error) {
	p, err := readLedger(ctx, databaseURL)
	if err != nil {
		return nil, err
	}
	client, reader, err := kafkalog.Connect(ctx, brokers, "onhand-bench-referee", brokerPatience)
	if err != nil {
		return nil, err
	}
	defer func() { _ = client.Close() }()
	tps, err := reader.Partitions(topic)
	if err != nil {
		return nil, err
	}
	ends, err := stableEnds(ctx, reader, tps)
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for tp, end := range ends {
		group.Go(func() error { return reader.Scan(ctx, tp, 0, end, p.read) })
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("read the outgoing topic: %w", err)
	}
	return p.faults(), nil
}

// stableEnds are where the logs end. Kafka says that a transaction is committed before its readers see it.
func stableEnds(
	ctx context.Context, reader *kafkalog.Reader, tps []kafkalog.TopicPartition,
) (map[kafkalog.TopicPartition]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, brokerPatience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		ranges, err := reader.Ranges(ctx, tps)
		if err != nil {
			return nil, err
		}
		ends := make(map[kafkalog.TopicPartition]int64)
		for tp, r := range ranges {
			if r.LastStable == r.HighWatermark {
				ends[tp] = r.HighWatermark
			}
		}
		if len(ends) == len(tps) {
			return ends, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for transactions in %s to end: %w", tps[0].Topic, ctx.Err())
		}
	}
}

// publications are what must be in the topic, by id, and what was found there.
type publications struct {
	mu       sync.Mutex
	expected map[int64]*publication
	beside   map[int64]*note
	latest   map[string]int64 // the last version that was read, by SKU and location
	wrong    []string
	mistakes int
}

// publication is one message. Its tags are those of the message's JSON.
type publication struct {
	SKU      string `json:"sku"`
	Location string `json:"location"`
	Version  int64  `json:"version"`
	Follows  int64  `json:"follows"`
	Delta    int64  `json:"delta"`
	OnHand   int64  `json:"on_hand"`

	read bool
}

// note is a message beside the ledger.
type note struct {
	key, value string
	read       bool
}

const movements = `
select message_id, sku, location, version, version - 1, delta, on_hand from movements where message_id is not null`

const notes = `select id, coalesce(key, ''), coalesce(payload, '') from outbox_messages`

func readLedger(ctx context.Context, databaseURL string) (*publications, error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, movements)
	if err != nil {
		return nil, fmt.Errorf("read movements: %w", err)
	}
	p := &publications{
		expected: make(map[int64]*publication), beside: make(map[int64]*note), latest: make(map[string]int64),
	}
	var id int64
	var m publication
	columns := []any{&id, &m.SKU, &m.Location, &m.Version, &m.Follows, &m.Delta, &m.OnHand}
	_, err = pgx.ForEachRow(rows, columns, func() error {
		expected := m
		p.expected[id] = &expected
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read movements: %w", err)
	}
	if rows, err = conn.Query(ctx, notes); err != nil {
		return nil, fmt.Errorf("read messages beside the ledger: %w", err)
	}
	var key, value []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &key, &value}, func() error {
		p.beside[id] = &note{key: string(key), value: string(value)}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read messages beside the ledger: %w", err)
	}
	return p, nil
}

// read takes in the next record of a partition.
func (p *publications) read(r *sarama.ConsumerMessage) error {
	var got publication
	id, err := publicationID(r)
	if err == nil {
		err = json.Unmarshal(r.Value, &got)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.fault("a record that is no message: %v", err)
		return nil
	}
	if want := p.expected[id]; want != nil {
		p.movement(id, r, got, want)
	} else if want := p.beside[id]; want != nil {
		p.note(id, r, want)
	} else {
		p.fault("message %d is about no movement, and none beside the ledger", id)
	}
	return nil
}

func (p *publications) note(id int64, r *sarama.ConsumerMessage, want *note) {
	switch {
	case want.read:
		p.fault("message %d is there twice", id)
	case string(r.Key) != want.key || string(r.Value) != want.value:
		p.fault("message %d with key %s says %s, and was written as %s with key %s", id, r.Key, r.Value, want.value, want.key)
	}
	want.read = true
}

func (p *publications) movement(id int64, r *sarama.ConsumerMessage, got publication, want *publication) {
	if want.read {
		p.fault("message %d is there twice", id)
		return
	}
	want.read = true
	got.read = true
	if got != *want || string(r.Key) != want.SKU {
		p.fault("message %d with key %s says %+v, and the ledger %+v", id, r.Key, got, *want)
	}
	of := want.SKU + "\x00" + want.Location
	if last := p.latest[of]; want.Version != last+1 {
		p.fault("version %d of %s came after %d", want.Version, want.SKU, last)
	}
	p.latest[of] = max(p.latest[of], want.Version)
}

func publicationID(r *sarama.ConsumerMessage) (int64, error) {
	for _, h := range r.Headers {
		if string(h.Key) == "ce_id" {
			return strconv.ParseInt(string(h.Value), 10, 64)
		}
	}
	return 0, fmt.Errorf("partition %d, offset %d has no id", r.Partition, r.Offset)
}

// fault notes one, of which the first few are told.
func (p *publications) fault(format string, args ...any) {
	p.mistakes++
	if len(p.wrong) < mostNamed {
		p.wrong = append(p.wrong, fmt.Sprintf(format, args...))
	}
}

func (p *publications) faults() []string {
	if p.mistakes > mostNamed {
		p.wrong = append(p.wrong, fmt.Sprintf("%d records in the outgoing topic are wrong", p.mistakes))
	}
	missing := 0
	for _, m := range p.expected {
		if !m.read {
			missing++
		}
	}
	for _, m := range p.beside {
		if !m.read {
			missing++
		}
	}
	if all := len(p.expected) + len(p.beside); missing > 0 {
		p.wrong = append(p.wrong, fmt.Sprintf("%d of %d messages are not in the outgoing topic", missing, all))
	}
	return p.wrong
}
