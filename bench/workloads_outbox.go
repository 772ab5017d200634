package main

import (
	"fmt"

	"onhand/bench/internal/report"
	"onhand/bench/internal/servers"
)

// outboxes are about what leaves. In all other workloads nothing does: the relay is off.
func outboxes(s sizes) []workload {
	const slow = 500
	waiting := min(4*s.events, million)
	return []workload{
		{
			name:  "relay-alone",
			about: fmt.Sprintf("%d messages wait in the outbox, no events come", waiting),
			lines: []line{
				published(report.Onhand, waiting), published(plainProducer, waiting), published(sqlForwarder, s.short/3),
			},
		},
		{
			name: "relay-debezium", settings: []string{"wal_level=logical"},
			about: fmt.Sprintf("%d messages wait, on a server with wal_level=logical", waiting/5),
			lines: []line{published(report.Onhand, waiting/5), published(eventRouter, waiting/5)},
		},
		{
			name: "relay-on", about: "the headline while its messages are published", quick: true,
			lines: []line{onhand(2*s.events, headline(), ways{relay: true}), reference(2 * s.events)},
		},
		{
			name: "relay-latency", about: "from a message's COMMIT to its reader, 500 a second, no events come",
			lines: []line{
				onhand(slow*s.seconds, headline(), ways{relay: true, appends: true, rate: slow}),
			},
		},
		{
			name: "outbox-wal", about: "the headline against a ledger that is no outbox",
			lines: []line{onhand(s.events, headline(), ways{}), mute(s.events)},
		},
	}
}

// published is a contestant that publishes a prepared outbox.
func published(contestant string, messages int) line {
	return line{
		name: contestant, contestant: contestant, records: messages, shape: headline(),
		prefill: servers.Prefill{Messages: messages}, ways: ways{relay: true},
	}
}

// mute is onhand with a ledger that is no outbox.
func mute(events int) line {
	l := onhand(events, headline(), ways{mute: true})
	l.name = report.NoOutbox
	return l
}
