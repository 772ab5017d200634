package main

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/alecthomas/kong"
)

// problems collects everything that is wrong with the settings, so that the operator reads all of it at once. Its
// methods take a flag's name and text, and return the value, or the zero value where the text is wrong.
type problems struct {
	variables map[string]string // of flags that have one
	lines     []string
}

func newProblems(flags []*kong.Flag) *problems {
	p := &problems{variables: make(map[string]string)}
	for _, flag := range flags {
		if variable := flag.Tag.Get("env"); variable != "" { // as written; one that is set to nothing was forgotten
			p.variables[flag.Name] = variable
		}
	}
	return p
}

// add notes that the flag's text is wrong; sentence says what is allowed.
func (p *problems) add(flag, format string, args ...any) {
	name := "--" + flag
	if variable, ok := p.variables[flag]; ok {
		name += " (" + variable + ")"
	}
	p.lines = append(p.lines, name+": "+fmt.Sprintf(format, args...))
}

func (p *problems) err() error {
	switch len(p.lines) {
	case 0:
		return nil
	case 1:
		return usage("%s", p.lines[0])
	}
	return usage("%d settings are wrong:\n  %s", len(p.lines), strings.Join(p.lines, "\n  "))
}

func (p *problems) oneOf(flag, text string, allowed ...string) string {
	if !slices.Contains(allowed, text) {
		p.add(flag, "%q is not one of %s", text, strings.Join(allowed, ", "))
		return ""
	}
	return text
}

func (p *problems) number(flag, text string, least, most int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		p.add(flag, "%q is not a number from %d to %d", text, least, most)
		return 0
	}
	return n
}

func (p *problems) duration(flag, text string, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > most {
		p.add(flag, "%q is not a duration from %s to %s, like 15s or 1m", text, least, most)
		return 0
	}
	return d
}

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"", 1}}

func (p *problems) size(flag, text string, least, most int64) int64 {
	for _, unit := range sizeUnits {
		digits, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err == nil && n >= 0 && n <= most/unit.bytes && n*unit.bytes >= least {
			return n * unit.bytes
		}
		break
	}
	p.add(flag, "%q is not a size from %d to %d bytes, like 65536, 64KiB or 1MiB", text, least, most)
	return 0
}

// address wants host:port; port 0 is allowed where something listens on it.
func (p *problems) address(flag, text string, leastPort int) string {
	_, port, err := net.SplitHostPort(text)
	n, numberErr := strconv.Atoi(port)
	if err != nil || numberErr != nil || n < leastPort || n > 65535 {
		p.add(flag, "%q is not host:port with a port from %d to 65535, like 127.0.0.1:8080", text, leastPort)
		return ""
	}
	return text
}

// Kafka's own rule for names of topics.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func (p *problems) topic(flag, text string) {
	if !topicName.MatchString(text) || text == "." || text == ".." {
		p.add(flag, "%q is not a topic's name: 1 to 249 of a-z A-Z 0-9 . _ -", text)
	}
}

const maxGroupBytes = 255

func (p *problems) group(name string) {
	unprintable := strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
	if name == "" || len(name) > maxGroupBytes || unprintable {
		p.add("group", "%q is not a group's name: 1 to %d printable bytes", name, maxGroupBytes)
	}
}

// argument is add for what has no flag.
func (p *problems) argument(name, format string, args ...any) {
	p.lines = append(p.lines, fmt.Sprintf("<%s>: %s", name, fmt.Sprintf(format, args...)))
}

// toggle is a flag without a value whose text is kept, so that a wrong variable is one problem among the others.
type toggle string

// IsBool lets kong accept the flag without a value.
func (toggle) IsBool() bool { return true }

// Decode takes the text as it is; the bare flag means yes.
func (t *toggle) Decode(ctx *kong.DecodeContext) error { //nolint:unparam // kong's interface
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		*t = "true"
		return nil
	}
	*t = toggle(ctx.Scan.Pop().String())
	return nil
}

func (p *problems) toggle(flag string, text toggle) bool {
	if text == "" {
		return false
	}
	on, err := strconv.ParseBool(string(text))
	if err != nil {
		p.add(flag, "%q is neither true nor false", string(text))
	}
	return on
}
