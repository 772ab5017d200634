package debezium

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"onhand/bench/internal/peer"
)

// logging is on the class path under this name.
const logging = `log4j.rootLogger=WARN, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=%d %p %c{1}: %m%n
`

// workerSettings are Connect's own, its defaults but for where it listens and keeps its positions.
func workerSettings(job peer.Job, dir string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", err
	}
	return properties(
		"bootstrap.servers", strings.Join(job.Brokers, ","),
		"key.converter", "org.apache.kafka.connect.storage.StringConverter",
		"value.converter", "org.apache.kafka.connect.storage.StringConverter",
		"header.converter", "org.apache.kafka.connect.storage.StringConverter",
		"offset.storage.file.filename", filepath.Join(dir, "positions"),
		"listeners", "http://"+address,
	), nil
}

// connectorSettings are Debezium's, as its documentation of the outbox event router has them, and its defaults else.
func connectorSettings(job peer.Job) (string, error) {
	u, err := url.Parse(job.DatabaseURL)
	if err != nil {
		return "", err
	}
	schema := u.Query().Get("search_path")
	return properties(
		"name", "outbox",
		"connector.class", "io.debezium.connector.postgresql.PostgresConnector",
		"tasks.max", "1",
		"plugin.name", "pgoutput",
		"database.hostname", u.Hostname(),
		"database.port", u.Port(),
		"database.user", u.User.Username(),
		"database.password", "none",
		"database.dbname", strings.TrimPrefix(u.Path, "/"),
		"topic.prefix", "debezium",
		"slot.name", slotName(job),
		"publication.name", publication,
		"publication.autocreate.mode", "disabled",
		"schema.include.list", schema,
		"table.include.list", schema+"."+table,
		"snapshot.mode", "no_data",
		"tombstones.on.delete", "false",
		"transforms", "outbox",
		"transforms.outbox.type", "io.debezium.transforms.outbox.EventRouter",
		"transforms.outbox.route.topic.replacement", "${routedByValue}",
		"transforms.outbox.table.fields.additional.placement", "ce_id:header:ce_id",
	), nil
}

// properties are names and values in turn.
func properties(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		_, _ = fmt.Fprintf(&b, "%s=%s\n", pairs[i], pairs[i+1])
	}
	return b.String()
}
