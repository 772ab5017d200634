package servers

import (
	"errors"
	"os"
	"path/filepath"
)

// ProjectRoot looks for the project's folder from the working directory upwards.
func ProjectRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "scripts", "kafka")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no scripts/kafka here or above: start the benchmark inside the project")
		}
		dir = parent
	}
}
