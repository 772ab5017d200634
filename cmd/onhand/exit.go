package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"onhand/internal/database"
	"onhand/internal/installation"
	"onhand/migrations"
)

// What a process's end says. Scripts rely on these.
const (
	exitDone       = 0
	exitFailed     = 1
	exitUsage      = 2 // usage or configuration
	exitViolation  = 3 // a check found a problem
	exitUnfinished = 4 // a check could not finish
	exitRefused    = 5 // refused by a guard
)

// ExitError ends the process with a status of its own. A nil Err says that everything worth saying is on the screen.
type ExitError struct {
	Status int
	Err    error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Status)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

func usage(format string, args ...any) error {
	return &ExitError{Status: exitUsage, Err: fmt.Errorf(format, args...)}
}

func refused(format string, args ...any) error {
	return &ExitError{Status: exitRefused, Err: fmt.Errorf(format, args...)}
}

// outcome is the status that err ends the process with, and the words for it; no words for nil.
func outcome(err error) (status int, words string) {
	if err == nil {
		return exitDone, ""
	}
	words = database.Redact(err.Error())
	var exit *ExitError
	var parse *kong.ParseError
	switch {
	case errors.As(err, &exit):
		if exit.Err == nil {
			words = ""
		}
		return exit.Status, words
	case errors.As(err, &parse):
		return exitUsage, words + " (see --help)"
	case errors.Is(err, migrations.ErrSchema), errors.Is(err, installation.ErrGuard):
		return exitRefused, words
	case errors.Is(err, context.Canceled):
		return exitFailed, "interrupted"
	}
	return exitFailed, words
}
