package testenv

import (
	"context"
	"fmt"
	"testing"
)

// exampleTB lets an example have what tests have.
type exampleTB struct {
	testing.TB
	cleanups []func()
}

func (t *exampleTB) Helper()                   {}
func (t *exampleTB) Name() string              { return "Example" }
func (t *exampleTB) Context() context.Context  { return context.Background() }
func (t *exampleTB) Cleanup(f func())          { t.cleanups = append(t.cleanups, f) }
func (t *exampleTB) Log(...any)                {}
func (t *exampleTB) Logf(string, ...any)       {}
func (t *exampleTB) Fatal(args ...any)         { panic(fmt.Sprint(args...)) }
func (t *exampleTB) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// ForExample returns a broker, a migrated schema and a topic of one partition; done removes what was made of them.
func ForExample() (brokers []string, databaseURL, topic string, done func()) {
	t := &exampleTB{}
	brokers, databaseURL, topic = Brokers(t), Database(t), Topic(t, 1)
	return brokers, databaseURL, topic, func() {
		for i := range t.cleanups {
			t.cleanups[len(t.cleanups)-1-i]()
		}
	}
}
