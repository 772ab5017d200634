package testenv

import (
	"errors"
	"os"
	"sync"
)

// shared holds the servers of this test process. A package variable, because tests have nothing else in common.
var shared = sharedServers{
	postgres: sharedServer{variable: "ONHAND_TEST_DATABASE_URL", script: "postgres", stopHow: "immediate"},
	kafka:    sharedServer{variable: "ONHAND_TEST_BROKERS", script: "kafka", stopHow: "kill"},
}

type sharedServers struct{ postgres, kafka sharedServer }

func (s *sharedServers) stop() error {
	return errors.Join(s.postgres.stop(), s.kafka.stop())
}

// sharedServer is started by the first test that asks for its address; a process whose tests ask for none starts none.
type sharedServer struct {
	variable, script, stopHow string

	once    sync.Once
	running *server // nil = given by the variable, or not asked for
	where   string
	err     error
}

func (s *sharedServer) address() (string, error) {
	s.once.Do(func() {
		if s.where = os.Getenv(s.variable); s.where != "" {
			return
		}
		started, err := newServer(s.script)
		if err != nil {
			s.err = err
			return
		}
		s.running = &started
		s.where, s.err = started.start()
	})
	return s.where, s.err
}

func (s *sharedServer) stop() error {
	if s.running == nil {
		return nil
	}
	return s.running.remove(s.stopHow)
}
