package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows on stderr how far something has come, drawn several times a second, when stderr is a terminal; in a
// file or a pipe it shows nothing. done may be read from another goroutine at any time until the returned stop was
// called, which wipes the bar.
func (c *console) progress(what string, total int64, done func() int64) (stop func()) {
	const between = 200 * time.Millisecond
	if !isTerminal(c.stderr) {
		return func() {}
	}
	bar := progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(c.stderr),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionClearOnFinish(),
	)
	quit, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(between)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = bar.Set64(min(done(), total)) // a terminal that is gone is no reason to stop the work
			case <-quit:
				_ = bar.Clear()
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-stopped
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
