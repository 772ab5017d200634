package main

import (
	"io"
	"time"

	"github.com/rs/zerolog"
)

// newLogger writes to w, either for people or one JSON object a line. An unknown level logs everything.
func newLogger(w io.Writer, level, format string) zerolog.Logger {
	parsed, err := zerolog.ParseLevel(level)
	if err != nil {
		parsed = zerolog.TraceLevel
	}
	if format == "console" {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.RFC3339, NoColor: true}
	}
	return zerolog.New(w).Level(parsed).With().Timestamp().Logger()
}
