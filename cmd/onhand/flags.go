package main

import (
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/database"
)

// databaseFlags are those of every command that talks to Postgres.
type databaseFlags struct {
	DatabaseURL string `placeholder:"URL" env:"ONHAND_DATABASE_URL" help:"Postgres: postgres://user:password@host:5432/db or keyword=value pairs."`
	Schema      string `placeholder:"NAME" env:"ONHAND_SCHEMA" help:"Schema that holds this installation (the URL's search_path, or onhand)."`

	config *pgxpool.Config
	schema string // what the search_path names
}

func (f *databaseFlags) settings(p *problems) {
	if strings.TrimSpace(f.DatabaseURL) == "" {
		p.add("database-url", "is missing: give a URL like postgres://user@127.0.0.1:5432/stock")
		return
	}
	var err error
	if f.config, f.schema, err = database.Config(f.DatabaseURL, f.Schema); err != nil {
		flag := "database-url"
		if f.Schema != "" {
			// The URL is judged first; once it reads, what is left to complain about is the schema.
			if _, _, urlErr := database.Config(f.DatabaseURL, database.DefaultSchema); urlErr == nil {
				flag = "schema"
			}
		}
		p.add(flag, "%s", err)
	}
}

// brokerFlags are those of every command that talks to Kafka.
type brokerFlags struct {
	Brokers []string `placeholder:"HOST:PORT" env:"ONHAND_BROKERS" help:"Kafka brokers to start from; repeat, or separate by commas."`
}

func (f *brokerFlags) settings(p *problems) {
	if len(f.Brokers) == 0 {
		p.add("brokers", "is missing: give at least one host:port, like 127.0.0.1:9092")
	}
	f.optional(p)
}

// optional is settings for a command that can do without Kafka.
func (f *brokerFlags) optional(p *problems) {
	for _, broker := range f.Brokers {
		p.address("brokers", broker, 1)
	}
}

// groupFlags name what is consumed, and as whom.
type groupFlags struct {
	brokerFlags
	Topic []string `default:"inventory.events" placeholder:"NAME" env:"ONHAND_TOPIC" help:"Topics to consume; repeat, or separate by commas (${default})."`
	Group string   `default:"onhand" placeholder:"NAME" env:"ONHAND_GROUP" help:"Consumer group (${default})."`
}

func (f *groupFlags) settings(p *problems) {
	f.brokerFlags.settings(p)
	if len(f.Topic) == 0 {
		p.add("topic", "is missing: give at least one topic")
	}
	seen := make(map[string]bool)
	for _, topic := range f.Topic {
		p.topic("topic", topic)
		if seen[topic] {
			p.add("topic", "%q is given twice", topic)
		}
		seen[topic] = true
	}
	p.group(f.Group)
}
