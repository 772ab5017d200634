package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"onhand/internal/cliout"
	"onhand/internal/deadletter"
)

type deadLettersShowCmd struct {
	databaseFlags
	Topic       string `arg:"" help:"Topic."`
	Partition   int32  `arg:"" help:"Partition."`
	Offset      int64  `arg:"" help:"Offset."`
	Incarnation int32  `placeholder:"N" help:"Of the partition's position (the newest that has one there)."`
	Full        bool   `help:"The whole value, not only the surroundings of the error."`
}

func (deadLettersShowCmd) Help() string {
	return `Examples:

  onhand dead-letters show inventory.events 3 1200
  onhand dead-letters show inventory.events 3 1200 --full
  onhand dead-letters show inventory.events 3 1200 -o json | jq -r .value.base64 | base64 -d`
}

// shownLetter is a dead letter as JSON: bytes as text where they are text, and always as base64.
type shownLetter struct {
	deadletter.Summary
	ErrorPosition *int32        `json:"error_position"`
	RecordTime    *time.Time    `json:"record_time"`
	Key           *shownBytes   `json:"key"`
	Value         *shownBytes   `json:"value"`
	Headers       []shownHeader `json:"headers"`
}

type shownHeader struct {
	Key   *shownBytes `json:"key"`
	Value *shownBytes `json:"value"`
}

type shownBytes struct {
	Text   *string `json:"text"` // null = not UTF-8
	Base64 []byte  `json:"base64"`
}

func (c *deadLettersShowCmd) Run(ctx context.Context, con *console) error {
	pool, err := openDatabase(ctx, &c.databaseFlags)
	if err != nil {
		return err
	}
	defer pool.Close()
	letter, err := deadletter.Get(ctx, pool, c.Topic, c.Partition, c.Offset, c.Incarnation)
	if errors.Is(err, deadletter.ErrNone) {
		return fmt.Errorf("%s/%d has %w at offset %d", c.Topic, c.Partition, err, c.Offset)
	}
	if err != nil {
		return err
	}
	shown := showLetter(letter)
	if err := con.out.Print(shown, shown.table); err != nil || con.out.Format() == cliout.JSON {
		return err
	}
	return writeValue(con.stdout, letter, c.Full)
}

func showLetter(l deadletter.Letter) shownLetter {
	shown := shownLetter{
		Summary: l.Summary, ErrorPosition: l.ErrorPosition, RecordTime: l.RecordTime,
		Key: showBytes(l.Key), Value: showBytes(l.Value), Headers: []shownHeader{},
	}
	for i := 0; i+1 < len(l.Headers); i += 2 {
		shown.Headers = append(shown.Headers, shownHeader{Key: showBytes(l.Headers[i]), Value: showBytes(l.Headers[i+1])})
	}
	return shown
}

func showBytes(b []byte) *shownBytes {
	if b == nil {
		return nil
	}
	shown := &shownBytes{Base64: b}
	if utf8.Valid(b) {
		text := string(b)
		shown.Text = &text
	}
	return shown
}

// line is the bytes in one line: as text, or in hex.
func (s *shownBytes) line() string {
	switch {
	case s == nil:
		return "(null)"
	case s.Text == nil:
		return fmt.Sprintf("0x%x", s.Base64)
	}
	return *s.Text
}

func (s shownLetter) table(t *cliout.Grid) {
	t.Row("record", fmt.Sprintf("%s/%d offset %d (incarnation %d)", s.Topic, s.Partition, s.Offset, s.Incarnation))
	t.Row("record time", instantOrDash(s.RecordTime))
	t.Row("parked at", instantOrDash(&s.ParkedAt))
	t.Row("reason", s.Reason)
	if s.Detail != "" {
		t.Row("detail", s.Detail)
	}
	if s.ErrorPosition != nil {
		t.Row("error at byte", *s.ErrorPosition)
	}
	t.Row("key", s.Key.line())
	for _, h := range s.Headers {
		t.Row("header", h.Key.line()+" = "+h.Value.line())
	}
	if s.Value == nil {
		t.Row("value", "(null: a tombstone)")
	} else {
		t.Row("value", fmt.Sprintf("%d bytes", len(s.Value.Base64)))
	}
}

// writeValue shows the value as text, if it is text, and in hex.
func writeValue(w io.Writer, l deadletter.Letter, full bool) error {
	if len(l.Value) == 0 {
		return nil
	}
	var b strings.Builder
	if text, ok := deadletter.Text(l.Value, l.ErrorPosition, full); ok {
		b.WriteString("\n" + text + "\n")
	} else {
		b.WriteString("\nnot UTF-8\n")
	}
	b.WriteString("\n" + deadletter.Hex(l.Value, l.ErrorPosition, full))
	_, err := io.WriteString(w, b.String())
	return err
}
