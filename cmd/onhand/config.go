package main

import (
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"onhand/inbox"
)

// The bounds of what may be configured.
const (
	minSessionTimeout = 6 * time.Second // what brokers allow by default
	maxSessionTimeout = 30 * time.Minute
	minCheckInterval  = time.Second
	maxCheckInterval  = time.Hour
	maxLanes          = 64
	maxBatch          = 2000
	maxRecordBytes    = 64 << 20
	minMemory         = 1 << 20
	maxMemory         = 64 << 30
	minDedupeRows     = 1000
	maxDedupeRows     = 1_000_000_000_000
	minDedupeAge      = time.Minute
	maxDedupeAge      = 100 * 365 * 24 * time.Hour
	maxExpiryGrace    = 24 * time.Hour
)

// runFlags are the settings of the service, as text; Config is what they mean.
type runFlags struct {
	databaseFlags
	groupFlags
	OutboxTopic string `default:"inventory.changes" placeholder:"NAME" env:"ONHAND_OUTBOX_TOPIC" help:"Topic for messages about changed stock (${default})."`
	Relay       string `default:"on" placeholder:"on|off" env:"ONHAND_RELAY" help:"Publish outgoing messages; of several members one does at a time (${default})."`
	Refused     string `default:"wait" placeholder:"wait|follow" env:"ONHAND_REFUSED" help:"What messages do whose key has an earlier one that Kafka refuses: wait behind it, or go on without order (${default})."`
	Listen      string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" env:"ONHAND_LISTEN" help:"Where /livez and /readyz are answered; port 0 picks a free one (${default})."`

	Start          string `default:"oldest" placeholder:"WHERE" env:"ONHAND_START" help:"Where a topic begins that was never read: oldest, newest or an RFC 3339 time (${default})."`
	UnknownKinds   string `default:"park" placeholder:"park|ignore" env:"ONHAND_UNKNOWN_KINDS" help:"What becomes of events of an unknown kind (${default})."`
	ExpiryGrace    string `default:"5s" placeholder:"DURATION" env:"ONHAND_EXPIRY_GRACE" help:"How far the clock must be past a reservation's deadline before it lapses without a later record (${default})."`
	AllowCompacted toggle `env:"ONHAND_ALLOW_COMPACTED" help:"Read topics that are compacted, though records may vanish from them unread."`

	CheckInterval  string `default:"1m" placeholder:"DURATION" env:"ONHAND_CHECK_INTERVAL" help:"How often topics are compared with what is stored, and added partitions looked for (${default})."`
	SessionTimeout string `default:"15s" placeholder:"DURATION" env:"ONHAND_SESSION_TIMEOUT" help:"A member that is silent for so long loses its partitions; all other timeouts follow (${default})."`
	Balance        string `default:"sticky" placeholder:"STRATEGY" env:"ONHAND_BALANCE" help:"How partitions are shared out: sticky, range or roundrobin (${default})."`
	Isolation      string `default:"read-committed" placeholder:"LEVEL" env:"ONHAND_ISOLATION" help:"Of transactions: read-committed or serializable (${default})."`
	Lanes          string `default:"auto" placeholder:"N|auto" env:"ONHAND_LANES" help:"Transactions at the same time; auto is 2, or 1 with --isolation serializable (${default})."`
	MaxBatch       string `default:"2000" placeholder:"N" env:"ONHAND_MAX_BATCH" help:"Most records in a transaction (${default})."`
	MaxRecordBytes string `default:"1MiB" placeholder:"SIZE" env:"ONHAND_MAX_RECORD_BYTES" help:"Larger values are parked (${default})."`
	Memory         string `default:"12MiB" placeholder:"SIZE" env:"ONHAND_MEMORY" help:"For records that were read and wait for their transaction (${default})."`
	DedupeRows     string `default:"50000000" placeholder:"N|off" env:"ONHAND_DEDUPE_ROWS" help:"Decided events that a generation of the inbox takes; three are kept, and the oldest is forgotten for the next (${default})."`
	DedupeAge      string `default:"off" placeholder:"DURATION|off" env:"ONHAND_DEDUPE_AGE" help:"How old a generation of the inbox may become, if events come (${default})."`
}

// Config is what the operator asked of the service, judged and understood.
type Config struct {
	Brokers     []string
	Topics      []string
	Group       string
	Member      string // this process's name, shown as owner of its partitions
	OutboxTopic string
	Relay       bool
	Follow      bool   // messages do not wait behind one of their key that is refused
	Listen      string // host:port

	Start              inbox.Start
	IgnoreUnknownKinds bool
	ExpiryGrace        time.Duration
	AllowCompacted     bool

	SessionTimeout time.Duration
	CheckEvery     time.Duration
	Balance        sarama.BalanceStrategy
	Isolation      pgx.TxIsoLevel
	Lanes          int
	MaxBatch       int // records
	MaxRecordBytes int
	Memory         int64         // bytes
	DedupeRows     int64         // negative = no bound
	DedupeAge      time.Duration // 0 = no bound
}

// config judges the flags. The Config is good for nothing if p has problems.
func (f *runFlags) config(p *problems) Config {
	f.databaseFlags.settings(p)
	f.groupFlags.settings(p)
	p.topic("outbox-topic", f.OutboxTopic)
	for _, topic := range f.Topic {
		if topic == f.OutboxTopic {
			p.add("outbox-topic", "%q is also consumed: onhand would read its own messages", topic)
		}
	}
	return Config{
		Brokers: f.Brokers, Topics: f.Topic, Group: f.Group, Member: memberName(),
		OutboxTopic: f.OutboxTopic, Listen: p.address("listen", f.Listen, 0),
		Relay:              p.oneOf("relay", f.Relay, "on", off) == "on",
		Follow:             p.oneOf("refused", f.Refused, "wait", "follow") == "follow",
		Start:              p.start(f.Start),
		IgnoreUnknownKinds: p.oneOf("unknown-kinds", f.UnknownKinds, "park", "ignore") == "ignore",
		ExpiryGrace:        p.duration("expiry-grace", f.ExpiryGrace, 0, maxExpiryGrace),
		AllowCompacted:     p.toggle("allow-compacted", f.AllowCompacted),
		SessionTimeout:     p.duration("session-timeout", f.SessionTimeout, minSessionTimeout, maxSessionTimeout),
		CheckEvery:         p.duration("check-interval", f.CheckInterval, minCheckInterval, maxCheckInterval),
		Balance:            p.balance(f.Balance),
		Isolation:          p.isolation(f.Isolation),
		Lanes:              p.lanes(f.Lanes, f.Isolation),
		MaxBatch:           p.number("max-batch", f.MaxBatch, 1, maxBatch),
		MaxRecordBytes:     int(p.size("max-record-bytes", f.MaxRecordBytes, 1, maxRecordBytes)),
		Memory:             p.size("memory", f.Memory, minMemory, maxMemory),
		DedupeRows:         p.dedupeRows(f.DedupeRows),
		DedupeAge:          p.dedupeAge(f.DedupeAge),
	}
}

func (p *problems) start(text string) inbox.Start {
	start, err := inbox.ParseStart(text)
	if err != nil {
		p.add("start", "%q is not oldest, newest or a time like 2026-01-31T00:00:00Z", text)
	}
	return start
}

// balance knows the eager strategies only: a cooperative one starts partitions without a moment to seek in.
func (p *problems) balance(text string) sarama.BalanceStrategy {
	switch p.oneOf("balance", text, "sticky", "range", "roundrobin") {
	case "range":
		return sarama.NewBalanceStrategyRange()
	case "roundrobin":
		return sarama.NewBalanceStrategyRoundRobin()
	}
	return sarama.NewBalanceStrategySticky()
}

func (p *problems) isolation(text string) pgx.TxIsoLevel {
	if p.oneOf("isolation", text, "read-committed", "serializable") == "serializable" {
		return pgx.Serializable
	}
	return pgx.ReadCommitted
}

// off is what switches a bound off.
const off = "off"

// lanes: under serializable two are in each other's way. Postgres notes whole tables as read by a batch of many rows,
// and so lets only one of two batches commit that are under way at the same moment.
func (p *problems) lanes(text, isolation string) int {
	switch {
	case text != "auto":
		return p.number("lanes", text, 1, maxLanes)
	case isolation == "serializable":
		return 1
	}
	return 2
}

func (p *problems) dedupeRows(text string) int64 {
	if text == off {
		return -1
	}
	return int64(p.number("dedupe-rows", text, minDedupeRows, maxDedupeRows))
}

func (p *problems) dedupeAge(text string) time.Duration {
	if text == off {
		return 0
	}
	return p.duration("dedupe-age", text, minDedupeAge, maxDedupeAge)
}

// maxHostBytes keeps a member's name within Postgres's 63 bytes for the name of a connection.
const maxHostBytes = 36

// memberName is new for each process: host, process id and something random, because containers share the first two.
func memberName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d-%s", host[:min(len(host), maxHostBytes)], os.Getpid(), uuid.NewString()[:4])
}
