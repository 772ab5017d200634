package servers

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// PrefillTopic is where rows of a filled inbox say that they come from; no contestant reads it.
const PrefillTopic = "prefill"

// Prefill says what is in the inbox, in stock and in the outbox before anybody starts.
type Prefill struct {
	Rows      int  `json:"rows"`
	RandomIDs bool `json:"random_ids"` // UUIDv4; else UUIDv7, all of them older than whatever comes
	SKUs      int  `json:"skus"`       // of which workload.OpeningStock is on hand
	Backorder bool `json:"backorder"`  // which may be sold without end, by who decides nothing
	Messages  int  `json:"messages"`   // that wait in the outbox; the stock that they tell of is not there
}

func (p Prefill) empty() bool { return p.Rows == 0 && p.SKUs == 0 && p.Messages == 0 }

// The columns of an inbox row are named here and by whoever writes the others. A row is as long as the workload's, and
// they are inserted in the order in which they would have come: by time, or, with random ids, all over the index.
const fillInbox = `
insert into inbox (tenant, event_id, source, fingerprint, outcome, topic, partition, incarnation, "offset")
select '', case when $2
         then substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-4' || substr(h, 13, 3) || '-a' || substr(h, 16, 3) || '-'
              || substr(h, 19, 12)
         else substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-7' || substr(h, 13, 3) || '-a' || substr(h, 16, 3) || '-'
              || substr(h, 19, 12)
       end,
       case when n % 10 < 7 then 'webshop-01' else 'warehouse-01' end, n, 'applied',
       '` + PrefillTopic + `', n % 12, 1, n
from generate_series(1, $1::bigint) as n,
     lateral (select md5(n::text) as h,
                     lpad(to_hex((extract(epoch from now()) * 1000)::bigint - $1 + n), 12, '0') as t) as made`

// template returns a database to be copied, which is filled the first time that it is asked for.
func (s *Servers) template(ctx context.Context, p Prefill) (string, error) {
	name := fmt.Sprintf("bench_filled_%d_%t_%d_%t_%d", p.Rows, p.RandomIDs, p.SKUs, p.Backorder, p.Messages)
	if s.filled[name] {
		return name, nil
	}
	databaseURL, _, err := s.create(ctx, name, "") // it is gone with the cluster
	if err != nil {
		return "", err
	}
	if err := Fill(ctx, databaseURL, p); err != nil {
		return "", fmt.Errorf("fill a database: %w", err)
	}
	if s.filled == nil {
		s.filled = make(map[string]bool)
	}
	s.filled[name] = true
	return name, nil
}

// Fill puts into an empty database what p says.
func Fill(ctx context.Context, databaseURL string, p Prefill) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	// A database that somebody is connected to cannot be copied.
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if p.Rows > 0 {
		if _, err := conn.Exec(ctx, fillInbox, p.Rows, p.RandomIDs); err != nil {
			return err
		}
		if _, err = conn.Exec(ctx, "vacuum (analyze, freeze) inbox"); err != nil {
			return err
		}
	}
	if p.SKUs > 0 {
		if err := fillStock(ctx, conn, p.SKUs, p.Backorder); err != nil {
			return err
		}
	}
	if p.Messages > 0 {
		return fillMessages(ctx, conn, p.Messages)
	}
	return nil
}
